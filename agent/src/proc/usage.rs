//! What a process uses: descriptors, memory, time. Read when a rule or an output asks.

use std::fs::File;

use nix::fcntl::OFlag;
use vedette_event::{ProcessKey, Usage, process::TICK};

use super::{Dir, Proc, ProcError, Stat};

/// Most descriptors that are counted one by one, where the kernel does not tell their number (before Linux 6.2).
const DESCRIPTORS: usize = 4096;

impl Proc {
    /// What the process with this key uses at this moment, and one of its threads. What a file does not tell is left
    /// out.
    ///
    /// # Errors
    /// [`ProcError::Gone`] and [`ProcError::Reused`] are the ordinary ones: the process has ended.
    pub fn usage(&self, key: ProcessKey, tid: u32) -> Result<Usage, ProcError> {
        let dir = self.open(key.tgid)?;
        let before = dir.stat()?;
        if before.start_ticks != key.start / TICK {
            return Err(ProcError::Reused(key.tgid));
        }
        let mut usage = Usage { threads: Some(before.threads.into()), ..Usage::default() };
        if let Ok(status) = dir.text("status") {
            memory(&status, &mut usage);
        }
        if let Ok(limits) = dir.text("limits") {
            usage.descriptor_limit = descriptor_limit(&limits);
        }
        usage.descriptors = descriptors(&dir);
        if let Ok(stat) = dir.text(&format!("task/{tid}/stat")) {
            (usage.minor_faults, usage.major_faults) = faults(&stat);
        }
        if let Ok(text) = dir.text(&format!("task/{tid}/schedstat")) {
            usage.cpu_time = first_number(&text);
        }
        Ok(usage)
    }
}

/// The number of descriptors. Since Linux 6.2 it is the size of the directory.
fn descriptors(dir: &Dir) -> Option<u64> {
    let fd = dir.openat("fd", OFlag::O_RDONLY | OFlag::O_DIRECTORY).ok()?;
    let file = File::from(fd);
    match file.metadata().ok()?.len() {
        0 => {
            let mut entries = nix::dir::Dir::from_fd(file.into()).ok()?;
            let counted = entries.iter().take(DESCRIPTORS + 3).filter(|entry| {
                entry.as_ref().is_ok_and(|entry| !entry.file_name().to_bytes().starts_with(b"."))
            });
            Some(counted.count()).filter(|n| *n <= DESCRIPTORS).map(|n| n as u64)
        }
        len => Some(len),
    }
}

fn first_number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// `VmSize`, `VmRSS` and `VmSwap` of `/proc/PID/status`.
fn memory(status: &[u8], usage: &mut Usage) {
    for line in status.split(|b| *b == b'\n') {
        for (key, figure) in [
            (&b"VmSize:"[..], &mut usage.virtual_memory),
            (b"VmRSS:", &mut usage.resident_memory),
            (b"VmSwap:", &mut usage.swapped_memory),
        ] {
            if let Some(rest) = line.strip_prefix(key) {
                *figure = first_number(rest);
            }
        }
    }
}

/// The soft limit of `Max open files` in `/proc/PID/limits`.
fn descriptor_limit(limits: &[u8]) -> Option<i64> {
    let line = limits.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"Max open files"))?;
    match str::from_utf8(line).ok()?.split_ascii_whitespace().next()? {
        "unlimited" => Some(-1),
        number => number.parse().ok(),
    }
}

/// Minor and major page faults of a `stat` file.
fn faults(stat: &[u8]) -> (Option<u64>, Option<u64>) {
    match Stat::parse(stat) {
        Some(stat) => (Some(stat.minor_faults), Some(stat.major_faults)),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_say() {
        let mut usage = Usage::default();
        memory(
            b"Name:\tVmRSS: 7\nVmPeak:\t 9 kB\nVmSize:\t 8 kB\nVmRSS:\t    6 kB\nVmSwap:\t0 kB\n",
            &mut usage,
        );
        let expected = Usage {
            virtual_memory: Some(8),
            resident_memory: Some(6),
            swapped_memory: Some(0),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        let limits = b"Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(descriptor_limit(limits), Some(1024));
        assert_eq!(descriptor_limit(b"Max open files unlimited unlimited files"), Some(-1));
        assert_eq!(descriptor_limit(b"Max open files"), None);
    }

    #[test]
    fn a_process_sees_itself() {
        let proc = Proc::default();
        let pid = std::process::id();
        let key = proc.process(pid).unwrap().key;
        let before = proc.usage(key, pid).unwrap();
        let files: Vec<File> = (0..20).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = proc.usage(key, pid).unwrap();
        // Other tests of this program open and close files, too.
        assert!(after.descriptors > Some(files.len() as u64), "{after:?}");
        assert!(after.descriptors < after.descriptor_limit.map(|n| n as u64), "{after:?}");
        assert!(
            after.virtual_memory >= after.resident_memory && after.resident_memory > Some(0),
            "{after:?}"
        );
        assert!(after.threads >= Some(1) && after.minor_faults > Some(0), "{after:?}");
        assert!(after.cpu_time >= before.cpu_time && before.cpu_time.is_some(), "{after:?}");
        let other = ProcessKey { start: key.start + 5 * TICK, ..key };
        assert!(matches!(proc.usage(other, pid), Err(ProcError::Reused(_))));
    }
}
