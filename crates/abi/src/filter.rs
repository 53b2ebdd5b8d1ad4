//! The tables that answer, in the kernel, whether anybody wants an event.

use crate::{KINDS, record_struct};

record_struct! {
    /// One generation of the filter. Two of them exist; a single word says which is live.
    pub struct Filter: 280 {
        /// By kind: the scopes in which some loaded rule wants it. 0 = nobody anywhere.
        pub wanted: [u64; KINDS],
        /// [`filter_flags`].
        pub flags: u64,
        /// Scopes in which some rule can match an open whatever the names of the file: opens that change nothing, and opens
        /// that may change something ([`may_change`]).
        pub every_open: [u64; 2],
    }

    /// Key of the table that gives, for a control group, the scopes it is in (a bit set as in [`Filter::wanted`]).
    /// A control group that is not in the table is in every scope: unknown keeps, never drops.
    pub struct ScopeKey: 16 {
        /// Generation (0 or 1) that the entry belongs to.
        pub generation: u64,
        /// Control group.
        pub cgroup: u64,
    }

    /// Key of the table of remote ends: a socket, by two things that are never both used again.
    pub struct PeerKey: 16 {
        /// Where the kernel keeps it.
        pub sock: u64,
        /// Its inode number.
        pub ino: u64,
    }

    /// The remote end that a socket last exchanged something with.
    pub struct Peer: 24 {
        /// Address; IPv4 in the first four bytes.
        pub address: [u8; 16],
        /// Port, host byte order.
        pub port: u16,
        /// `AF_*`.
        pub family: u16,
        /// [`crate::socket_flags::SERVER`] where the remote end began.
        pub flags: u16,
        /// Zero.
        pub pad: u16,
    }
}

/// Bits of [`Filter::flags`].
pub mod filter_flags {
    /// Some rule asks for opens that failed.
    pub const FAILED_OPENS: u64 = 1;
    /// Some rule or output asks for the environment.
    pub const ENVIRONMENT: u64 = 2;
    /// Some rule can match what is sent through a TCP socket.
    pub const SEND_TCP: u64 = 4;
    /// Some rule can match what is received from a TCP socket.
    pub const RECEIVE_TCP: u64 = 8;
    /// Some rule can match what is sent through a socket that is connected.
    pub const SEND_CONNECTED: u64 = 16;
    /// Some rule can match what is received from a socket that is connected.
    pub const RECEIVE_CONNECTED: u64 = 32;
    /// Some rule can match what is sent to the same remote end as before.
    pub const SEND_SAME_PEER: u64 = 64;
    /// Some rule can match what is received from the same remote end as before.
    pub const RECEIVE_SAME_PEER: u64 = 128;
    /// Some rule can match a call on a socket that would have had to wait (`EAGAIN`).
    pub const WOULD_BLOCK: u64 = 256;
    /// Some rule or output asks for the data that is sent or received.
    pub const DATA: u64 = 512;
    /// Some rule or output asks for the standard descriptors of new programs.
    pub const STDIO: u64 = 1024;
    /// Some rule can match the making of a socket as everybody makes it ([`super::is_plain_socket`]).
    pub const PLAIN_SOCKETS: u64 = 2048;
    /// Some rule can match the duplication of a descriptor that is no socket's, or one that failed.
    pub const DUP_NO_SOCKET: u64 = 4096;
}

/// Every scope at once.
pub const EVERY_SCOPE: u64 = u64::MAX;
/// Control groups that are not containers.
pub const SCOPE_HOST: u64 = 1;
/// Control groups of containers.
pub const SCOPE_CONTAINER: u64 = 2;
/// Control groups of containers in Kubernetes pods.
pub const SCOPE_POD: u64 = 4;

/// Bits of a [`NameSet`].
pub const NAME_BITS: u32 = 131_072;

/// Words of a [`NameSet`].
pub const NAME_WORDS: usize = NAME_BITS as usize / 64;

/// Sets of names: for opens that change nothing and for those that may ([`may_change`]), in two generations.
pub const NAME_SETS: u32 = 4;

record_struct! {
    /// Names of directories and files that rules ask for, a bit each ([`name_bit`]). Names may share a bit: then more
    /// events are kept than need be, never fewer.
    pub struct NameSet: 16384 {
        /// The bits, 64 a word.
        pub bits: [u64; NAME_WORDS],
    }
}

/// Which set an open is held against.
pub const fn name_set(generation: u32, may_change: bool) -> u32 {
    (generation & 1) * 2 + may_change as u32
}

/// What a bit of a [`NameSet`] says of a name: the length, and one of these on top of it, are part of what is hashed.
pub mod name_kind {
    /// It is a directory or file in the path.
    pub const WHOLE: u64 = 0;
    /// A directory or file in the path begins with these [`PREFIX`] bytes.
    pub const BEGINS: u64 = 1 << 60;
    /// A directory or file in the path ends with these [`SUFFIX`] bytes.
    pub const ENDS: u64 = 2 << 60;
    /// The file of the program that opens has this name.
    pub const PROGRAM: u64 = 3 << 60;
    /// The name of that file begins with these [`PREFIX`] bytes.
    pub const PROGRAM_BEGINS: u64 = 4 << 60;
    /// A directory or file in the path ends with these [`LONG_SUFFIX`] bytes.
    pub const ENDS_LONG: u64 = 5 << 60;
    /// Bytes of a beginning.
    pub const PREFIX: u64 = 3;
    /// Bytes of an end.
    pub const SUFFIX: u64 = 4;
    /// Bytes of a long end, which is asked for where that much of the end is told: `cache` is the end of more names than
    /// `ccache`.
    pub const LONG_SUFFIX: u64 = 6;
}

/// The bit of a name: by eight of its bytes (the first the lowest; what is behind its end does not matter), its length, and
/// which of [`name_kind`] it is.
#[inline(always)]
pub const fn name_bit(kind: u64, bytes: u64, len: u64) -> u32 {
    let kept = if len >= 8 { bytes } else { bytes & ((1 << (len * 8)) - 1) };
    let mixed = (kept ^ kind).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (len << 32);
    // Fibonacci hashing: the upper bits of the product are well mixed.
    ((mixed ^ mixed >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - NAME_BITS.ilog2())) as u32
}

/// Domains of plain sockets: `AF_UNIX`, `AF_INET`, `AF_INET6`.
pub const PLAIN_DOMAINS: [u64; 3] = [1, 2, 10];
/// Types of plain sockets: `SOCK_STREAM`, `SOCK_DGRAM`.
pub const PLAIN_TYPES: [u64; 2] = [1, 2];
/// What may be added to the type of a socket: `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
pub const SOCKET_TYPE_FLAGS: [u64; 2] = [0o4000, 0o200_0000];
/// Protocols of plain sockets: none, `IPPROTO_TCP`, `IPPROTO_UDP`.
pub const PLAIN_PROTOCOLS: [u64; 3] = [0, 6, 17];

/// Whether the arguments of `socket(2)` are those of a plain socket: a Unix, TCP or UDP one.
#[inline(always)]
pub const fn is_plain_socket(domain: u64, kind: u64, protocol: u64) -> bool {
    let kind = kind & !(SOCKET_TYPE_FLAGS[0] | SOCKET_TYPE_FLAGS[1]);
    (domain == PLAIN_DOMAINS[0] || domain == PLAIN_DOMAINS[1] || domain == PLAIN_DOMAINS[2])
        && (kind == PLAIN_TYPES[0] || kind == PLAIN_TYPES[1])
        && (protocol == PLAIN_PROTOCOLS[0]
            || protocol == PLAIN_PROTOCOLS[1]
            || protocol == PLAIN_PROTOCOLS[2])
}

/// Whether an open with these flags may change something: it is for writing, or makes a file.
pub const fn may_change(flags: u32) -> bool {
    const O_CREAT: u32 = 0o100;
    flags & 0o3 == 1 || flags & 0o3 == 2 || flags & O_CREAT != 0
}
