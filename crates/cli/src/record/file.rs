//! The file a recording is written to.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use vedette_event::recording::{Blocks, Frame, RecordingError, encode_block};

/// A recording in the making. What was written is whole after every block.
pub struct Output {
    file: File,
}

impl Output {
    /// Opens a file: an empty one, or with `append` one that may hold a recording already.
    ///
    /// # Errors
    /// The file cannot be opened, or holds something else. Says so for people.
    pub fn open(path: &Path, append: bool) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(!append).mode(0o600);
        let mut file = options.open(path).map_err(|error| failed(&error))?;
        if append {
            let end = whole(&file).map_err(|error| failed(&error))?;
            file.set_len(end).map_err(|error| failed(&error))?;
            file.seek(SeekFrom::Start(end)).map_err(|error| failed(&error))?;
        }
        Ok(Self { file })
    }

    /// Adds a whole item.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, item: &[u8]) -> io::Result<()> {
        self.file.write_all(item)
    }

    /// Adds the mark of a good end.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&mut self) -> io::Result<()> {
        let mut end = Vec::new();
        Frame::End.encode(&mut end);
        let block = encode_block(&end).map_err(io::Error::other)?;
        self.file.write_all(&block)
    }

    /// Brings everything to the disk, where the file is on one.
    ///
    /// # Errors
    /// The disk is full, for instance.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if self.file.metadata()?.is_file() { self.file.sync_all() } else { Ok(()) }
    }
}

/// Bytes of what is whole in a recording. What comes after damage could not be read anyway.
fn whole(file: &File) -> Result<u64, RecordingError> {
    let mut blocks = Blocks::new(BufReader::new(file));
    loop {
        match blocks.next_item() {
            Ok(Some(_)) => {}
            Ok(None) | Err(RecordingError::Cut { .. } | RecordingError::Damaged { .. }) => {
                return Ok(blocks.offset());
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use vedette_event::recording::{Ending, Header, Reader, Writer};

    use super::*;

    fn segment() -> Vec<u8> {
        let header = Header { abi: vedette_event::abi::ABI_VERSION, ..Header::default() };
        let mut writer = Writer::new(Vec::new(), &header).unwrap();
        writer.frame(&Frame::Time(1)).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn appending_takes_off_what_was_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.vrec");
        let whole = segment();
        std::fs::write(&path, [&whole[..], &whole[..whole.len() - 1]].concat()).unwrap();
        let mut output = Output::open(&path, true).unwrap();
        output.write(&whole).unwrap();
        output.sync().unwrap();

        let bytes = std::fs::read(&path).unwrap();
        let mut reader = Reader::new(&*bytes);
        let mut frames = 0;
        while reader.next_frame().unwrap().is_some() {
            frames += 1;
        }
        assert_eq!((reader.segments(), reader.ending()), (3, Ending::Complete));
        assert_eq!(frames, 2 + 2, "the block with the end and the frame before it were cut off");
    }

    #[test]
    fn another_file_is_not_appended_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes.txt");
        std::fs::write(&path, "do not lose this\n").unwrap();
        let error = Output::open(&path, true).err().unwrap();
        assert!(error.contains("notes.txt") && error.contains("not a recording"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "do not lose this\n");
    }
}
