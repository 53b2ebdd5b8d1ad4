//! A disk in memory that fails where it is told to, and forgets what was not made durable.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::spool::disk::{Disk, DiskFile};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes: this operation is done in part, and none after it.
    Crash,
    /// There is no room: the write is done in part.
    NoSpace,
    /// The disk says no.
    Broken,
}

#[derive(Default)]
struct Inode {
    /// What is certain to be there after a crash.
    durable: Vec<u8>,
    /// What was done since.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, content) => {
                let start = *offset as usize;
                if bytes.len() < start + content.len() {
                    bytes.resize(start + content.len(), 0);
                }
                bytes[start..start + content.len()].copy_from_slice(content);
            }
            Self::Truncate(len) => bytes.truncate(*len as usize),
        }
    }
}

impl Inode {
    fn now(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        self.pending.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    }
}

#[derive(Default)]
struct Machine {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Operations until one fails, and how.
    fault: Option<(u64, Fault)>,
    crashed: bool,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<Machine>>);

/// A file on it.
pub struct FaultyFile(FaultyDisk, usize);

impl FaultyDisk {
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap()
    }

    /// The operation after `count` others fails.
    pub fn fail_after(&self, count: u64, fault: Fault) {
        self.lock().fault = Some((count, fault));
    }

    pub fn has_crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Goes down and comes up again. Of what was not durable any part may be there; `choose(n)` chooses from 0 to n.
    pub fn reboot(&self, mut choose: impl FnMut(usize) -> usize) {
        let mut machine = self.lock();
        let machine = &mut *machine;
        for inode in &mut machine.inodes {
            let kept = choose(inode.pending.len());
            let mut bytes = std::mem::take(&mut inode.durable);
            for change in &inode.pending[..kept] {
                change.apply(&mut bytes);
            }
            if let Some(Change::Write(offset, content)) = inode.pending.get(kept) {
                let torn = content[..choose(content.len())].to_vec();
                Change::Write(*offset, torn).apply(&mut bytes);
            }
            *inode = Inode { durable: bytes, pending: Vec::new() };
        }
        // Names come and go each for itself.
        let mut names = machine.durable_names.clone();
        for (name, inode) in &machine.names {
            if choose(1) == 1 {
                names.insert(name.clone(), *inode);
            }
        }
        names.retain(|name, _| machine.names.contains_key(name) || choose(1) == 1);
        machine.names = names.clone();
        machine.durable_names = names;
        (machine.fault, machine.crashed) = (None, false);
    }

    /// Spoils a byte of a file.
    pub fn spoil(&self, name: &str, at: usize) {
        let mut machine = self.lock();
        let inode = machine.names[name];
        let mut bytes = machine.inodes[inode].now();
        let at = at % bytes.len();
        bytes[at] ^= 0x55;
        machine.inodes[inode] = Inode { durable: bytes, pending: Vec::new() };
    }

    pub fn total(&self) -> u64 {
        let machine = self.lock();
        machine.names.values().map(|inode| machine.inodes[*inode].now().len() as u64).sum()
    }
}

impl Machine {
    /// Counts an operation, and says how it fails.
    fn step(&mut self) -> Result<(), Fault> {
        if self.crashed {
            return Err(Fault::Crash);
        }
        match &mut self.fault {
            Some((0, fault)) => {
                let fault = *fault;
                self.fault = None;
                self.crashed = fault == Fault::Crash;
                Err(fault)
            }
            Some((count, _)) => {
                *count -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::NoSpace => io::ErrorKind::StorageFull.into(),
        Fault::Crash | Fault::Broken => io::Error::other("the disk says no"),
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<FaultyFile> {
        let mut machine = self.lock();
        machine.step().map_err(error)?;
        machine.inodes.push(Inode::default());
        let inode = machine.inodes.len() - 1;
        machine.names.insert(name.to_owned(), inode);
        Ok(FaultyFile(self.clone(), inode))
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile> {
        let mut machine = self.lock();
        machine.step().map_err(error)?;
        let inode = machine.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(FaultyFile(self.clone(), *inode))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut machine = self.lock();
        machine.step().map_err(error)?;
        machine.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut machine = self.lock();
        machine.step().map_err(error)?;
        machine.durable_names = machine.names.clone();
        Ok(())
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut machine = self.0.lock();
        let step = machine.step();
        if machine.crashed && step != Err(Fault::Crash) {
            return Err(error(Fault::Crash));
        }
        let done = if step.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        machine.inodes[self.1].pending.push(Change::Write(offset, done.to_vec()));
        step.map_err(error)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.0.lock();
        machine.step().map_err(error)?;
        let now = machine.inodes[self.1].now();
        let rest = now.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn len(&self) -> io::Result<u64> {
        let mut machine = self.0.lock();
        machine.step().map_err(error)?;
        Ok(machine.inodes[self.1].now().len() as u64)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut machine = self.0.lock();
        machine.step().map_err(error)?;
        machine.inodes[self.1].pending.push(Change::Truncate(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut machine = self.0.lock();
        machine.step().map_err(error)?;
        let inode = &mut machine.inodes[self.1];
        inode.durable = inode.now();
        inode.pending.clear();
        Ok(())
    }
}
