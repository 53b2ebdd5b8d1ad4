//! The protocol between agents, controller and tools: package `vedette.v1`, made of the `.proto` files beside this crate.
//!
//! It may grow, and must not break: fields, methods and enum values are only added; numbers and names are never used
//! anew; who reads must pass over what it does not know. What cannot be said so becomes `vedette.v2`, served beside it.

/// Version 1.
pub mod v1 {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        reason = "generated; the .proto files have the text"
    )]
    tonic::include_proto!("vedette.v1");

    /// The compiled descriptors, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vedette.v1.bin"));
}
