//! How a command ends: 1 for bad input, else the codes of sysexits(3).

use std::io;
use std::process::ExitCode;

/// The command did what was asked, and found nothing wrong.
pub fn good() -> ExitCode {
    ExitCode::SUCCESS
}

/// The input is bad; what is wrong with it is on standard error.
pub fn bad_input() -> ExitCode {
    ExitCode::from(1)
}

/// The command line is wrong (`EX_USAGE`).
pub fn usage() -> ExitCode {
    ExitCode::from(64)
}

/// The controller cannot be asked (`EX_UNAVAILABLE`).
pub fn unavailable() -> ExitCode {
    ExitCode::from(69)
}

/// Something went wrong that is not the user's fault (`EX_SOFTWARE`).
pub fn internal() -> ExitCode {
    ExitCode::from(70)
}

/// What a command found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing wrong.
    Good,
    /// The input is bad, and the command has said so.
    Bad,
}

impl Verdict {
    /// Good if `good`.
    pub fn from_good(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

/// Why a command could not do what was asked. The message is for people and names the remedy where there is one.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The input cannot be read, or is not what it should be.
    #[error("{0}")]
    Input(String),
    /// The controller cannot be asked.
    #[error(transparent)]
    Remote(#[from] crate::remote::RemoteError),
    /// Standard output, or a file to be written, cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// A fault of this program.
    #[error("{0}; this is a fault of vedette: please report it")]
    Internal(String),
}

/// The result of a command.
pub type Result = std::result::Result<Verdict, Failure>;

impl Failure {
    /// The code for the shell.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) => bad_input(),
            Self::Remote(_) => unavailable(),
            Self::Write(_) | Self::Internal(_) => internal(),
        }
    }

    /// Whether the reader of standard output went away.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<vedette_policy::load::LoadError> for Failure {
    fn from(error: vedette_policy::load::LoadError) -> Self {
        Self::Input(error.to_string())
    }
}
