//! What the BPF programs and user space agree on: records, system calls, kernel fields, filter tables.
//!
//! Everything here is `no_std` and `#[repr(C)]` without implicit padding, so that no kernel byte that was
//! not written on purpose can reach user space. Each record's size is asserted at compile time, and the ABI
//! version is in every record's header.
#![no_std]

mod call;
mod call_spec;
mod counters;
mod filter;
mod io_uring;
mod kernel_fields;
mod kind;
mod record;

pub use call::*;
pub use call_spec::*;
pub use counters::*;
pub use filter::*;
pub use io_uring::*;
pub use kernel_fields::*;
pub use kind::*;
pub use record::*;

/// Version of the record layout; a record of another version is refused by the decoder.
pub const ABI_VERSION: u8 = 2;

/// Derives the zero-copy traits in user space only.
macro_rules! record_struct {
    ($($(#[$m:meta])* pub struct $name:ident: $size:literal { $($(#[$fm:meta])* pub $field:ident: $ty:ty,)* })*) => {$(
        $(#[$m])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        #[cfg_attr(feature = "user", derive(Debug, PartialEq, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
        pub struct $name { $($(#[$fm])* pub $field: $ty,)* }

        const _: () = assert!(core::mem::size_of::<$name>() == $size, "size of a record changed");
        const _: () = assert!($size % 8 == 0, "records stay 8-byte aligned");
    )*};
}
pub(crate) use record_struct;

/// A `#[repr(int)]` enum that crosses the border as a number and is decoded with `TryFrom`.
macro_rules! wire_enum {
    ($(#[$m:meta])* pub enum $name:ident: $repr:ty { $($(#[$vm:meta])* $variant:ident = $value:literal => $text:literal,)* }) => {
        $(#[$m])*
        #[repr($repr)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vm])* $variant = $value,)* }

        impl $name {
            /// All variants, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used in metrics, reports and documents.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl TryFrom<$repr> for $name {
            type Error = $repr;
            fn try_from(value: $repr) -> Result<Self, $repr> {
                match value { $($value => Ok(Self::$variant),)* other => Err(other) }
            }
        }
    };
}
pub(crate) use wire_enum;
