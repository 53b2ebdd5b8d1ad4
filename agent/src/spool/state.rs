//! What a spool knows besides its segments: who it is, what was acknowledged, what was given up.
//!
//! The file `state` has two slots of 4096 bytes. Each save goes into the slot that the last one did not take, in place, so
//! that a disk without room takes it, and a save that is cut leaves the one before. A slot is
//! `crc:u32 length:u32 content`, its CRC-32C that of length and content; of two good slots the later one counts.

use std::io;

use prost::Message;

use super::{
    disk::{Disk, DiskFile},
    shed::Shed,
};

/// The file's name.
const NAME: &str = "state";
/// Bytes of a slot.
const SLOT: usize = 4096;
/// Bytes of the file.
pub const STATE_FILE: u64 = 2 * SLOT as u64;

/// What is kept.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct State {
    /// Counts the saves.
    #[prost(uint64, tag = "1")]
    pub save: u64,
    /// Names the spool: 16 random bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub spool: Vec<u8>,
    /// Greater than every number that was given away when it was saved.
    #[prost(uint64, tag = "3")]
    pub next: u64,
    /// Everything up to here has arrived.
    #[prost(uint64, tag = "4")]
    pub acknowledged: u64,
    /// Reports of what was given up that have not been acknowledged. The ones with a number stay as they are.
    #[prost(message, repeated, tag = "5")]
    pub sheds: Vec<Shed>,
    /// The number of the last report.
    #[prost(uint64, tag = "6")]
    pub last_shed: u64,
    /// The segment that is being given up, and is in `sheds` already.
    #[prost(string, tag = "7")]
    pub giving_up: String,
}

/// The file.
#[derive(Debug)]
pub struct StateFile<F>(F);

impl<F: DiskFile> StateFile<F> {
    /// Opens the file and reads what it knows; makes both, if there is nothing to be read.
    ///
    /// # Errors
    /// The disk does not let us.
    pub fn open<D: Disk<File = F>>(disk: &D, fresh: impl FnOnce() -> State) -> io::Result<(Self, State)> {
        let known = match disk.open(NAME) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // It may be there all the same: a new one would take the alerts that wait for strangers.
            Err(error) => return Err(error),
        };
        if let Some(file) = known {
            let mut bytes = vec![0; 2 * SLOT];
            let read = file.read_at(&mut bytes, 0)?;
            let slots = bytes[..read].chunks(SLOT);
            if let Some(state) = slots.filter_map(decode).max_by_key(|state| state.save) {
                return Ok((Self(file), state));
            }
        }
        let file = disk.create(NAME)?;
        // Takes the room now, for a time when there is none.
        file.write_at(&[0; 2 * SLOT], 0)?;
        let mut state = fresh();
        let out = Self(file);
        out.save(&mut state)?;
        disk.sync()?;
        Ok((out, state))
    }

    /// Makes the state durable.
    ///
    /// # Errors
    /// The disk does not let us, or there is too much to be kept.
    pub fn save(&self, state: &mut State) -> io::Result<()> {
        state.save += 1;
        self.write(state).inspect_err(|_| {
            // The next attempt takes the same slot: the other one is the last good one.
            state.save -= 1;
        })
    }

    fn write(&self, state: &State) -> io::Result<()> {
        let content = state.encode_to_vec();
        if content.len() + 8 > SLOT {
            return Err(io::Error::other("the state of the spool is too large"));
        }
        let length = (content.len() as u32).to_le_bytes();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&length), &content);
        let mut slot = Vec::with_capacity(8 + content.len());
        slot.extend_from_slice(&crc.to_le_bytes());
        slot.extend_from_slice(&length);
        slot.extend_from_slice(&content);
        self.0.write_at(&slot, (state.save % 2) * SLOT as u64)?;
        self.0.sync()
    }
}

fn decode(slot: &[u8]) -> Option<State> {
    let (crc, rest) = slot.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let content = rest.get(..u32::from_le_bytes(*length) as usize)?;
    let good = crc32c::crc32c_append(crc32c::crc32c(length), content) == u32::from_le_bytes(*crc);
    good.then(|| State::decode(content).ok())?.filter(|state| state.spool.len() == 16)
}
