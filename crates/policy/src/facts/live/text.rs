//! How values are written where rules compare text: the spellings of Falco's fields.

use vedette_event::alert::Time;

/// Text that is put together for one event: as long as it is short, without memory of its own.
#[derive(Clone)]
pub struct Assembled<const N: usize> {
    short: [u8; N],
    len: usize,
    /// In place of `short`, once the text is longer.
    long: Vec<u8>,
}

impl<const N: usize> Assembled<N> {
    /// No text yet.
    pub const fn new() -> Self {
        Self { short: [0; N], len: 0, long: Vec::new() }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.short.get_mut(self.len..end).filter(|_| self.long.is_empty()) {
            Some(room) => room.copy_from_slice(bytes),
            None => {
                if self.long.is_empty() {
                    self.long.extend_from_slice(&self.short[..self.len]);
                }
                self.long.extend_from_slice(bytes);
            }
        }
        self.len = end;
    }

    /// Takes the end off.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        // Emptied means short again, and both are empty then.
        self.long.truncate(self.len);
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.len] } else { &self.long }
    }
}

impl<const N: usize> std::fmt::Write for Assembled<N> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Joins parts by blanks.
pub fn join<'p>(parts: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, part) in parts.enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(part);
    }
    out
}

/// The flags of an open as text. Order and names are those that rules expect.
pub fn open_flags(flags: u32, created: bool) -> Assembled<160> {
    const ACCESS: u32 = 0o3;
    const NAMES: &[(u32, &str)] = &[
        (0o100_000, "O_LARGEFILE"),
        (0o200_000, "O_DIRECTORY"),
        (0o40_000, "O_DIRECT"),
        (0o1_000, "O_TRUNC"),
        (0o4_010_000, "O_SYNC"),
        (0o4_000, "O_NONBLOCK"),
        (0o200, "O_EXCL"),
        (0o10_000, "O_DSYNC"),
        (0o2_000, "O_APPEND"),
        (0o100, "O_CREAT"),
    ];
    let mut out = Assembled::new();
    let mut add = |name: &str| {
        if !out.as_bytes().is_empty() {
            out.push(b"|");
        }
        out.push(name.as_bytes());
    };
    let mut sync = false;
    for (bits, name) in NAMES {
        // O_SYNC contains O_DSYNC, and means more than it.
        let shadowed = *name == "O_DSYNC" && sync;
        // O_TMPFILE contains O_DIRECTORY.
        let of_tmpfile = *name == "O_DIRECTORY" && flags & TMPFILE == TMPFILE;
        if flags & bits == *bits && !shadowed && !of_tmpfile {
            sync |= *name == "O_SYNC";
            add(name);
        }
    }
    add(match flags & ACCESS {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        _ => "O_RDWR",
    });
    if flags & 0o2_000_000 != 0 {
        add("O_CLOEXEC");
    }
    if flags & TMPFILE == TMPFILE {
        add("O_TMPFILE");
    }
    if created {
        add("O_F_CREATED");
    }
    out
}

/// `O_TMPFILE` with the `O_DIRECTORY` it contains.
const TMPFILE: u32 = 0o20_200_000;

/// Names of the bits that are set, in the order of the table, joined by `|`; `0` where none is.
pub fn flags(bits: u64, names: &[(u64, &str)]) -> String {
    let set: Vec<&str> = names.iter().filter(|(bit, _)| bits & bit == *bit).map(|(_, name)| *name).collect();
    if set.is_empty() { "0".to_owned() } else { set.join("|") }
}

/// Names of capabilities by number (`include/uapi/linux/capability.h`).
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// A set of capabilities as text; what has no name yet is left out.
pub fn capabilities(set: u64) -> String {
    let names: Vec<&str> =
        CAPABILITIES.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1).map(|(_, name)| *name).collect();
    names.join(" ")
}

/// A point in time in its parts, UTC.
pub struct Civil {
    /// `2026-11-24`
    pub date: String,
    /// `05:40:34`
    pub clock: String,
    /// Nanoseconds within the second.
    pub nanos: u64,
}

/// Splits a time, nanoseconds since 1970, as alerts write it.
pub fn civil(ns: u64) -> Civil {
    let text = Time(ns).to_string();
    let (date, rest) = text.split_once('T').unwrap_or((&text, ""));
    let clock = rest.split('.').next().unwrap_or_default();
    Civil { date: date.to_owned(), clock: clock.to_owned(), nanos: ns % 1_000_000_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_an_open() {
        let cases = [
            (0, false, "O_RDONLY"),
            (0o2, false, "O_RDWR"),
            (0o1101, true, "O_TRUNC|O_CREAT|O_WRONLY|O_F_CREATED"),
            (0o2_000_000, false, "O_RDONLY|O_CLOEXEC"),
            (0o2_200_000, false, "O_DIRECTORY|O_RDONLY|O_CLOEXEC"),
            (0o20_200_002, false, "O_RDWR|O_TMPFILE"),
            (0o4_010_001, false, "O_SYNC|O_WRONLY"),
            (0o10_001, false, "O_DSYNC|O_WRONLY"),
        ];
        for (flags, created, expected) in cases {
            assert_eq!(open_flags(flags, created).as_bytes(), expected.as_bytes(), "{flags:o}");
        }
    }

    #[test]
    fn capabilities_by_name() {
        assert_eq!(capabilities(0), "");
        assert_eq!(capabilities(1 << 21 | 1 << 39), "CAP_SYS_ADMIN CAP_BPF");
        assert_eq!(capabilities(1 << 63), "");
    }

    #[test]
    fn dates() {
        let c = civil(1_795_498_834_123_456_789);
        assert_eq!((c.date.as_str(), c.clock.as_str(), c.nanos), ("2026-11-24", "05:40:34", 123_456_789));
        assert_eq!(civil(0).date, "1970-01-01");
        assert_eq!(civil(951_782_400_000_000_000).date, "2000-02-29");
    }
}
