//! Recordings of the event stream, from which a replay gives the alerts of the original.
//!
//! A recording holds the records as they came from the kernel, in the order in which the engine processed them,
//! and everything else that the engine knew at that time: the processes and control groups at the beginning, what
//! it looked up about a process later, and the names of users and groups. `docs/recording.md` describes the bytes.
//!
//! - [`Writer`] makes one, [`Reader`] reads it frame by frame, [`Blocks`] block by block, undecoded.
//! - [`Frame`] is one entry; [`snapshot::write`] makes those that describe a whole [`State`](crate::State), and
//!   [`snapshot::Restore`] makes a state of them.
//!
//! A recording that was cut anywhere reads up to the cut. It can be appended to: each run of the recorder is a
//! segment with a header of its own.

mod block;
mod fields;
mod frame;
mod header;
mod reader;
pub mod snapshot;
mod writer;

pub use block::{Blocks, Item};
pub use frame::{Frame, Frames, NameKind, Snapshot, container_frame, pod_frame};
pub use header::Header;
pub use reader::{Ending, Reader};
pub use writer::{Writer, encode_block};

use crate::abi::ABI_VERSION;

/// What every segment begins with. The first byte is not ASCII and the line end is Unix's, so that a transfer as
/// text shows at once; as a length it would be longer than any block.
pub const MAGIC: [u8; 8] = *b"\x89VDREC\n\x1a";

/// Version of the format that is written; a reader refuses any other.
pub const FORMAT_VERSION: u32 = 2;

/// Most bytes of a block once it is decompressed.
pub const MAX_PAYLOAD: usize = 4 << 20;

/// Most bytes of a block, compressed; what cannot be compressed grows a little.
pub const MAX_BLOCK: usize = MAX_PAYLOAD + (64 << 10);

/// Most bytes of a header.
pub const MAX_HEADER: usize = 64 << 10;

/// Why a recording cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The bytes could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It begins as something else does.
    #[error("this is not a recording")]
    NotARecording,
    /// Written by another version of the format.
    #[error("the recording has format version {found}, this build reads version {FORMAT_VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Its records were made by programs of another version.
    #[error("the recording has records of ABI version {found}, this build reads version {ABI_VERSION}")]
    Abi {
        /// The version found.
        found: u8,
    },
    /// A header is not what it should be.
    #[error("the header at byte {at} is not valid: {why}")]
    Header {
        /// Where it begins.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// It ends within a block or header.
    #[error("the recording is cut at byte {at}")]
    Cut {
        /// Bytes of what is whole.
        at: u64,
    },
    /// A block is not what was written.
    #[error("the recording is damaged at byte {at}: {what}")]
    Damaged {
        /// Where the block begins.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// Reads a recording to its end or first error, restores what it describes, and decodes its records; what it holds
/// does not matter. Returns the number of frames. For fuzzing: it must never panic, whatever the bytes.
pub fn read_everything(bytes: &[u8]) -> usize {
    let small = crate::StateLimits { processes: 64, cgroups: 64, hierarchy: None };
    let mut reader = Reader::new(bytes);
    let mut restore = snapshot::Restore::new(small);
    let mut frames = 0;
    while let Ok(Some(frame)) = reader.next_frame() {
        frames += 1;
        if let Frame::Record(record) = frame {
            // Any answer will do.
            let _ = crate::decode(record);
        } else if let Some(restored) = restore.frame(&frame) {
            let mut state = restored.into_state();
            state.link_parents();
        }
    }
    frames
}

#[cfg(test)]
mod tests;
