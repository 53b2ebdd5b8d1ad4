//! The event itself, as alerts show it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use vedette_abi::{FileOpen, InodeFacts, SocketFacts, Syscall, path_flags};

use super::{is_false, lossy};
use crate::{Body, Strings, View};

/// An event. What its kind does not have is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventInfo {
    /// Kind of the event (`file_open`, `process_exec`, `net_connect`, …).
    #[serde(rename = "type")]
    pub kind: String,
    /// The system call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscall: Option<String>,
    /// Number of the event since the agent started.
    pub number: u64,
    /// What the call returned: a descriptor, 0, or a negative error number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<i64>,
    /// Name of that error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Path of the file, executable, socket or control group, as the kernel resolved it; where a call failed
    /// before that, the path as passed, made absolute.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The path as the caller passed it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub raw_path: String,
    /// Whether the beginning of `path` is missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub path_truncated: bool,
    /// Names of the flags as passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileInfo>,
    /// Address family (`inet`, `inet6`, `unix`, else its number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Protocol (`tcp`, `udp`, `icmp`, else its number).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// This side of a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Endpoint>,
    /// The far side of a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Endpoint>,
    /// Exit status of a process that ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u32>,
    /// Signal that ended a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<u32>,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Inode number.
    pub inode: u64,
    /// Device of the file system, as `major:minor`.
    pub device: String,
    /// Type and permissions in octal, as `stat -c %f` gives them in hexadecimal.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Whether it has been unlinked.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
}

/// One side of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address; an IPv4 address mapped into IPv6 is shown as IPv4.
    pub ip: IpAddr,
    /// The port, where the protocol has ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl EventInfo {
    pub(super) fn of_view(view: &View<'_>) -> Self {
        let record = view.record;
        let mut info = Self {
            kind: record.kind.name().to_owned(),
            syscall: record.call.map(|c| c.name().to_owned()),
            number: view.number,
            ..Self::default()
        };
        match &record.body {
            Body::FileOpen { facts, path, raw, cwd, .. } => info.file_open(facts, path, raw, cwd),
            Body::NetCall { facts, path, .. } => {
                info.set_result(facts.ret);
                info.socket(&facts.socket, path);
            }
            Body::Syscall { facts, strings } | Body::ProcessChange { syscall: facts, strings, .. } => {
                info.syscall(facts, strings);
            }
            Body::ProcessExec { facts, exe, filename, .. } => {
                info.path = lossy(exe);
                info.raw_path = lossy(filename);
                info.path_truncated = facts.exe.path_flags & path_flags::CUT != 0;
                info.file = Some(FileInfo::from(&facts.exe));
            }
            Body::ProcessExit(exit) => match exit.status & 0x7f {
                0 => info.exit_code = Some((exit.status >> 8) & 0xff),
                signal => info.signal = Some(signal),
            },
            Body::CgroupMkdir { path, .. } | Body::CgroupRmdir { path, .. } => info.path = lossy(path),
            Body::Gap(_) | Body::ProcessFork(_) | Body::ProcessSnapshot(_) => {}
        }
        info
    }

    fn set_result(&mut self, result: i64) {
        self.result = Some(result);
        // Negative numbers from -4095 on are errors (`MAX_ERRNO` of the kernel).
        if (-4095..0).contains(&result) {
            self.error = crate::errno_name(result.unsigned_abs()).map(str::to_owned);
        }
    }

    fn file_open(&mut self, facts: &FileOpen, path: &[u8], raw: &[u8], cwd: &[u8]) {
        self.set_result(facts.ret);
        self.path = match (path, raw) {
            ([], [b'/', ..]) => lossy(raw),
            ([], [_, ..]) if !cwd.is_empty() => lossy(&[cwd, raw].join(&b'/')),
            (path, _) => lossy(path),
        };
        self.raw_path = lossy(raw);
        self.path_truncated = facts.inode.path_flags & path_flags::CUT != 0;
        self.flags = open_flags(facts.flags);
        self.file = (facts.ret >= 0).then(|| FileInfo::from(&facts.inode));
    }

    fn syscall(&mut self, facts: &Syscall, strings: &Strings<'_>) {
        self.set_result(facts.ret);
        self.path = match (strings.target, strings.raw) {
            ([], []) if strings.path.is_empty() => lossy(strings.base),
            ([], []) => lossy(strings.path),
            ([], raw) if strings.base.is_empty() => lossy(raw),
            ([], raw) => lossy(&[strings.base, raw].join(&b'/')),
            (target, _) => lossy(target),
        };
        self.raw_path = lossy(strings.raw);
        self.path_truncated = facts.inode.path_flags & path_flags::CUT != 0;
        self.file = (facts.inode.ino != 0).then(|| FileInfo::from(&facts.inode));
        if facts.socket.sock_family != 0 {
            self.socket(&facts.socket, b"");
        }
    }

    fn socket(&mut self, facts: &SocketFacts, path: &[u8]) {
        self.family = Some(match facts.family {
            1 => "unix".to_owned(),
            2 => "inet".to_owned(),
            10 => "inet6".to_owned(),
            other => other.to_string(),
        });
        match path {
            // An abstract socket, as `ss` and `/proc/net/unix` show it.
            [0, name @ ..] => self.path = format!("@{}", lossy(name)),
            [] => {}
            path => self.path = lossy(path),
        }
        if let (2 | 10, protocol) = (facts.family, facts.protocol) {
            self.protocol = Some(match protocol {
                1 => "icmp".to_owned(),
                6 => "tcp".to_owned(),
                17 => "udp".to_owned(),
                58 => "icmp6".to_owned(),
                132 => "sctp".to_owned(),
                other => other.to_string(),
            });
            self.local = Endpoint::of(facts.family, &facts.local, facts.local_port);
            self.remote = Endpoint::of(facts.family, &facts.remote, facts.remote_port);
        }
    }
}

impl Endpoint {
    fn of(family: u16, address: &[u8; 16], port: u16) -> Option<Self> {
        let [a, b, c, d, ..] = *address;
        let ip = match family {
            2 => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            10 => IpAddr::V6(Ipv6Addr::from(*address)).to_canonical(),
            _ => return None,
        };
        // Nothing is known of the local side before the kernel chose it.
        (!ip.is_unspecified() || port != 0).then_some(Self { ip, port: (port != 0).then_some(port) })
    }
}

impl From<&InodeFacts> for FileInfo {
    fn from(facts: &InodeFacts) -> Self {
        Self {
            inode: facts.ino,
            device: format!("{}:{}", facts.dev >> 20, facts.dev & 0xf_ffff),
            mode: format!("{:06o}", facts.mode),
            uid: facts.uid,
            gid: facts.gid,
            deleted: facts.path_flags & path_flags::DELETED != 0,
        }
    }
}

/// Flags of `open(2)` on x86-64 (`asm-generic/fcntl.h`) with more than one bit first, since they contain others.
const OPEN_FLAGS: [(u32, &str); 16] = [
    (0o20_200_000, "O_TMPFILE"),
    (0o4_010_000, "O_SYNC"),
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1_000, "O_TRUNC"),
    (0o2_000, "O_APPEND"),
    (0o4_000, "O_NONBLOCK"),
    (0o10_000, "O_DSYNC"),
    (0o20_000, "O_ASYNC"),
    (0o40_000, "O_DIRECT"),
    (0o200_000, "O_DIRECTORY"),
    (0o400_000, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

/// `O_LARGEFILE`, which the kernel itself adds on 64-bit machines: no news.
const O_LARGEFILE: u32 = 0o100_000;

fn open_flags(flags: u32) -> Vec<String> {
    let access = match flags & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "O_ACCMODE",
    };
    let mut names = vec![access.to_owned()];
    let mut rest = flags & !3 & !O_LARGEFILE;
    for (bits, name) in OPEN_FLAGS {
        if rest & bits == bits {
            names.push(name.to_owned());
            rest &= !bits;
        }
    }
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_flags_by_name_and_none_is_lost() {
        assert_eq!(open_flags(0), ["O_RDONLY"]);
        assert_eq!(open_flags(0o2_101_101), ["O_WRONLY", "O_CREAT", "O_TRUNC", "O_CLOEXEC"]);
        assert_eq!(open_flags(0o20_200_002), ["O_RDWR", "O_TMPFILE"]);
        assert_eq!(open_flags(0o4_010_000), ["O_RDONLY", "O_SYNC"]);
        assert_eq!(open_flags(0o10_000), ["O_RDONLY", "O_DSYNC"]);
        assert_eq!(open_flags(0x8000_0000), ["O_RDONLY", "0x80000000"]);
    }

    #[test]
    fn addresses_of_both_families() {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[169, 254, 169, 254]);
        let v4 = Endpoint::of(2, &address, 80).unwrap();
        assert_eq!((v4.ip.to_string().as_str(), v4.port), ("169.254.169.254", Some(80)));
        let mapped = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
        assert_eq!(Endpoint::of(10, &mapped, 0).unwrap().ip.to_string(), "10.0.0.1");
        assert_eq!(Endpoint::of(10, &[0; 16], 0), None);
        assert_eq!(Endpoint::of(1, &address, 80), None);
    }
}
