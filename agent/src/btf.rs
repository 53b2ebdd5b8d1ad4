//! The running kernel's type information (BTF), read far enough to find fields by name.
//!
//! Format: <https://www.kernel.org/doc/html/latest/bpf/btf.html>. Only an index of type offsets is kept beside
//! the raw bytes; nothing here trusts a length or an offset without checking it.

mod offsets;
mod types;

pub use offsets::{Offsets, resolve_all};
pub use types::{Btf, Field};

/// Where the kernel publishes its BTF.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Why a kernel's types could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The kernel has none.
    #[error("{path}: {error}; Vedette needs a kernel built with CONFIG_DEBUG_INFO_BTF")]
    Read {
        /// File that could not be read.
        path: String,
        /// What the kernel said.
        error: std::io::Error,
    },
    /// The bytes are not BTF, or cut.
    #[error("malformed BTF at byte {at}: {what}")]
    Malformed {
        /// Offset in the file.
        at: usize,
        /// What was expected there.
        what: &'static str,
    },
    /// No such structure.
    #[error("this kernel has no `struct {0}`")]
    NoStruct(String),
    /// The structure is there, the field is not.
    #[error("this kernel's `struct {of}` has no field {}", paths.iter().map(|p| format!("`{p}`")).collect::<Vec<_>>().join(" or "))]
    NoField {
        /// The structure.
        of: String,
        /// The spellings that were tried.
        paths: Vec<String>,
    },
    /// Two different structures or members have the name.
    #[error("`{0}` is ambiguous in this kernel's BTF")]
    Ambiguous(String),
    /// The field has another size than the programs read.
    #[error("`{of}.{path}` has {found} bytes in this kernel, {expected} are expected")]
    Size {
        /// The structure.
        of: String,
        /// The field.
        path: String,
        /// Bytes in this kernel.
        found: u32,
        /// Bytes the programs read.
        expected: u32,
    },
    /// A bit field where a whole number of bytes is read.
    #[error("`{0}` is a bit field in this kernel")]
    BitField(String),
}

#[cfg(test)]
mod tests;
