//! TLS: an authority of our own, and a server certificate from it that is renewed while everything runs.

mod authority;
mod server;

pub use authority::{Authority, MadeCertificate};
pub use server::TlsServer;

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The keys cannot be read or kept.
    #[error(transparent)]
    Secret(#[from] crate::secrets::SecretError),
    /// A certificate cannot be made of them.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// What is kept is not what it should be.
    #[error("{0}")]
    Stored(String),
    /// A file cannot be read.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The library refuses.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}
