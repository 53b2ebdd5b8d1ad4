//! Writing.

use std::io::{self, Write};

use super::{Frame, Header, MAX_PAYLOAD, RecordingError, block::encode_header, frame::Frames};

/// Bytes of frames from which on a block is written.
const FULL: usize = 256 << 10;

/// Compression level: most of the gain for little of the time.
const LEVEL: i32 = 3;

/// Writes one segment of a recording.
pub struct Writer<W> {
    out: W,
    payload: Vec<u8>,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a segment, at the beginning of a recording or after the last whole block of one.
    ///
    /// # Errors
    /// The bytes cannot be written.
    pub fn new(mut out: W, header: &Header) -> Result<Self, RecordingError> {
        let bytes = encode_header(header)?;
        out.write_all(&bytes)?;
        Ok(Self { out, payload: Vec::new(), written: bytes.len() as u64 })
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether frames wait for [`Self::flush`].
    pub fn is_pending(&self) -> bool {
        !self.payload.is_empty()
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// The bytes cannot be written.
    pub fn frame(&mut self, frame: &Frame<'_>) -> Result<(), RecordingError> {
        let before = self.payload.len();
        frame.encode(&mut self.payload);
        if self.payload.len() > MAX_PAYLOAD {
            let last = self.payload.split_off(before);
            self.flush()?;
            self.payload = last;
        }
        self.flush_if_full()
    }

    /// Adds frames that are encoded already.
    ///
    /// # Errors
    /// The bytes cannot be written, or are not frames.
    pub fn frames(&mut self, encoded: &[u8]) -> Result<(), RecordingError> {
        let mut frames = Frames::new(encoded);
        while let Some(raw) = frames.next_raw().map_err(io::Error::other)? {
            if self.payload.len() + raw.len() > MAX_PAYLOAD {
                self.flush()?;
            }
            self.payload.extend_from_slice(raw);
            self.flush_if_full()?;
        }
        Ok(())
    }

    fn flush_if_full(&mut self) -> Result<(), RecordingError> {
        if self.payload.len() >= FULL { self.flush() } else { Ok(()) }
    }

    /// Writes the frames that wait, as a block.
    ///
    /// # Errors
    /// The bytes cannot be written, or a single frame is larger than a block may be.
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        if self.payload.is_empty() {
            return Ok(());
        }
        let block = encode_block(&self.payload)?;
        self.payload.clear();
        self.out.write_all(&block)?;
        self.out.flush()?;
        self.written += block.len() as u64;
        Ok(())
    }

    /// Writes what waits and the mark of a good end.
    ///
    /// # Errors
    /// The bytes cannot be written.
    pub fn finish(mut self) -> Result<W, RecordingError> {
        self.frame(&Frame::End)?;
        self.flush()?;
        Ok(self.out)
    }
}

/// Encodes frames as a block.
///
/// # Errors
/// They are more than fit.
pub fn encode_block(frames: &[u8]) -> Result<Vec<u8>, RecordingError> {
    if frames.len() > MAX_PAYLOAD {
        return Err(io::Error::other("a frame is larger than a block may be").into());
    }
    let compressed = zstd::bulk::compress(frames, LEVEL)?;
    let mut out = Vec::with_capacity(8 + compressed.len());
    out.extend_from_slice(&(compressed.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&compressed).to_le_bytes());
    out.extend_from_slice(&compressed);
    Ok(out)
}
