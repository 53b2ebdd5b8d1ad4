//! Headers and blocks, before anybody looks at what is in them.

use std::io::{self, Read};

use super::{FORMAT_VERSION, Header, MAGIC, MAX_BLOCK, MAX_HEADER, MAX_PAYLOAD, RecordingError};
use crate::abi::ABI_VERSION;

/// Length and checksum.
const BLOCK_HEAD: usize = 8;

/// One part of a recording.
#[derive(Debug)]
pub enum Item<'a> {
    /// A segment begins.
    Header(&'a Header),
    /// Frames, decompressed.
    Block(&'a [u8]),
}

/// Reads headers and blocks. At most one block is held in memory.
pub struct Blocks<R> {
    input: R,
    raw: Vec<u8>,
    payload: Vec<u8>,
    header: Header,
    /// Where the next item begins.
    offset: u64,
    decompressor: zstd::bulk::Decompressor<'static>,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    /// Reads from the beginning of a recording.
    pub fn new(input: R) -> Self {
        Self {
            input,
            raw: Vec::new(),
            payload: Vec::new(),
            header: Header::default(),
            offset: 0,
            decompressor: zstd::bulk::Decompressor::default(),
            ended: false,
        }
    }

    /// Where it reads from.
    pub fn get_ref(&self) -> &R {
        &self.input
    }

    /// The last item as it stands in the recording.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Bytes of all items so far, each of them whole.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The header of the segment that is being read.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next item. `None` at an end that is not within an item.
    ///
    /// # Errors
    /// The bytes cannot be read, are cut, or are not what was written. There is no next item after an error.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, RecordingError> {
        if self.ended {
            return Ok(None);
        }
        let found = self.read_item();
        match found {
            Ok(Found::Header) => Ok(Some(Item::Header(&self.header))),
            Ok(Found::Block) => Ok(Some(Item::Block(&self.payload))),
            Ok(Found::Nothing) => {
                self.ended = true;
                Ok(None)
            }
            Err(error) => {
                self.ended = true;
                Err(error)
            }
        }
    }

    fn read_item(&mut self) -> Result<Found, RecordingError> {
        self.raw.clear();
        if !self.fill(BLOCK_HEAD)? {
            return match self.raw.as_slice() {
                [] => Ok(Found::Nothing),
                bytes if self.offset == 0 && !MAGIC.starts_with(bytes) => Err(RecordingError::NotARecording),
                _ => Err(self.cut()),
            };
        }
        if self.raw == MAGIC {
            return self.read_header();
        }
        if self.offset == 0 {
            return Err(RecordingError::NotARecording);
        }
        let (len, checksum) = (self.number(0) as usize, self.number(4));
        if len > MAX_BLOCK {
            return Err(self.damaged("a block is longer than blocks are"));
        }
        self.read_rest(len)?;
        let bytes = &self.raw[BLOCK_HEAD..];
        if crc32fast::hash(bytes) != checksum {
            return Err(self.damaged("the checksum of a block does not match"));
        }
        self.payload.clear();
        // The size is the file's own claim: it is held against the limit before memory is taken.
        let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
        let Some(size) = size.and_then(|s| usize::try_from(s).ok()).filter(|s| *s <= MAX_PAYLOAD) else {
            return Err(self.damaged("a block does not say its size, or a size larger than blocks have"));
        };
        self.payload.reserve(size);
        if self.decompressor.decompress_to_buffer(bytes, &mut self.payload).is_err()
            || self.payload.len() != size
        {
            return Err(self.damaged("a block cannot be decompressed"));
        }
        self.offset += self.raw.len() as u64;
        Ok(Found::Block)
    }

    fn read_header(&mut self) -> Result<Found, RecordingError> {
        const HEAD: usize = MAGIC.len() + 12;
        self.read_rest(12)?;
        let found = self.number(8);
        if found != FORMAT_VERSION {
            return Err(RecordingError::Version { found });
        }
        let (len, checksum) = (self.number(12) as usize, self.number(16));
        let at = self.offset;
        let invalid = |why: String| RecordingError::Header { at, why };
        if len > MAX_HEADER {
            return Err(invalid("it is too long".to_owned()));
        }
        self.read_rest(len)?;
        let json = &self.raw[HEAD..];
        if crc32fast::hash(json) != checksum {
            return Err(invalid("its checksum does not match".to_owned()));
        }
        self.header = serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?;
        if self.header.abi != ABI_VERSION {
            return Err(RecordingError::Abi { found: self.header.abi });
        }
        self.offset += self.raw.len() as u64;
        Ok(Found::Header)
    }

    fn cut(&self) -> RecordingError {
        RecordingError::Cut { at: self.offset }
    }

    fn damaged(&self, what: &'static str) -> RecordingError {
        RecordingError::Damaged { at: self.offset, what }
    }

    fn number(&self, at: usize) -> u32 {
        self.raw.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
    }

    fn read_rest(&mut self, len: usize) -> Result<(), RecordingError> {
        if self.fill(len)? { Ok(()) } else { Err(self.cut()) }
    }

    /// Adds `len` bytes to `raw`, or as many as there are and returns false.
    fn fill(&mut self, len: usize) -> io::Result<bool> {
        let before = self.raw.len();
        // Grows with what is there, not with what a length claims.
        self.input.by_ref().take(len as u64).read_to_end(&mut self.raw)?;
        Ok(self.raw.len() - before == len)
    }
}

enum Found {
    Nothing,
    Header,
    Block,
}

/// The bytes that a segment begins with.
pub(super) fn encode_header(header: &Header) -> Result<Vec<u8>, RecordingError> {
    let json = serde_json::to_vec(header).map_err(io::Error::from)?;
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&(json.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&json).to_le_bytes());
    out.extend_from_slice(&json);
    Ok(out)
}
