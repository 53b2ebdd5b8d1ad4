//! Reading frame by frame.

use std::{io::Read, ops::Range};

use super::{Blocks, Frame, Header, Item, RecordingError, frame::Frames};

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the mark that the recorder sets when it is told to stop.
    Complete,
    /// Without that mark, after a whole block: the recorder was killed, or the end of the file is missing.
    Unfinished,
    /// Within a block that begins at this byte.
    Cut(u64),
}

/// Reads a recording. A cut is an ordinary end, which [`Self::ending`] tells; everything before it is read.
pub struct Reader<R> {
    blocks: Blocks<R>,
    payload: Vec<u8>,
    /// Where in the payload the next frame begins.
    at: usize,
    unknown: u64,
    segments: u64,
    /// Segments that [`Self::next_segment`] has told.
    told: u64,
    ending: Ending,
    failed: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from the beginning of a recording.
    pub fn new(input: R) -> Self {
        Self {
            blocks: Blocks::new(input),
            payload: Vec::new(),
            at: 0,
            unknown: 0,
            segments: 0,
            told: 0,
            ending: Ending::Unfinished,
            failed: false,
        }
    }

    /// The header of the segment that the last frame is in. Before the first frame: empty.
    pub fn header(&self) -> &Header {
        self.blocks.header()
    }

    /// Segments that have begun so far; when it grows, the frame after it is the first of another run.
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// Frames of kinds that this build does not know, which were passed over.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// How it ended, once there is no next frame.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Bytes read so far, of whole blocks.
    pub fn offset(&self) -> u64 {
        self.blocks.offset()
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// The recording cannot be read any further. There is no next frame after that.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, RecordingError> {
        // In two steps, because what is returned borrows the payload that the loop replaces.
        let Some(range) = self.next_known().inspect_err(|_| self.failed = true)? else { return Ok(None) };
        match Frame::decode(&self.payload[range]) {
            Ok(frame) => {
                self.ending = if matches!(frame, Frame::End) { Ending::Complete } else { Ending::Unfinished };
                Ok(Some(frame))
            }
            Err(what) => {
                self.failed = true;
                Err(RecordingError::Damaged { at: self.blocks.offset(), what })
            }
        }
    }

    /// Whether the next frame is the first of a segment whose header [`Self::header`] now is. Says so once.
    ///
    /// # Errors
    /// As for [`Self::next_frame`].
    pub fn next_segment(&mut self) -> Result<bool, RecordingError> {
        while !self.failed && self.at == self.payload.len() {
            if !self.next_block().inspect_err(|_| self.failed = true)? {
                return Ok(false);
            }
        }
        Ok(std::mem::replace(&mut self.told, self.segments) < self.segments)
    }

    /// Where in the payload the next frame of a known kind is.
    fn next_known(&mut self) -> Result<Option<Range<usize>>, RecordingError> {
        while !self.failed {
            let mut frames = Frames::new(&self.payload[self.at..]);
            let damaged = |what| RecordingError::Damaged { at: self.blocks.offset(), what };
            let Some(raw) = frames.next_raw().map_err(damaged)? else {
                if self.next_block()? {
                    continue;
                }
                break;
            };
            let (known, range) = (Frame::is_known(raw), self.at..self.at + raw.len());
            self.at = range.end;
            if known {
                return Ok(Some(range));
            }
            self.unknown += 1;
        }
        Ok(None)
    }

    /// Goes on to the next block, or says that there is none.
    fn next_block(&mut self) -> Result<bool, RecordingError> {
        loop {
            match self.blocks.next_item() {
                Ok(Some(Item::Header(_))) => {
                    self.segments += 1;
                    self.ending = Ending::Unfinished;
                }
                Ok(Some(Item::Block(payload))) => {
                    self.payload.clear();
                    self.payload.extend_from_slice(payload);
                    self.at = 0;
                    return Ok(true);
                }
                Ok(None) => return Ok(false),
                Err(RecordingError::Cut { at }) => {
                    self.ending = Ending::Cut(at);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
