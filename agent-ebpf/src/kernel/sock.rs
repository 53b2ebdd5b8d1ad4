//! `socket`, `sock`, `unix_sock`.

use vedette_abi::{PeerKey, SocketFacts, socket_flags};

use super::{File, Ptr, kfields, kstruct, probed, probed_to};
use crate::record::{Record, masked};

/// `AF_UNIX`, `AF_INET` and `AF_INET6` of `<sys/socket.h>`.
pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
/// `SOCK_RAW` of `<sys/socket.h>`.
const SOCK_RAW: u16 = 3;
/// States of a socket (`include/net/tcp_states.h`), which other protocols use, too.
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;
/// Bytes of a Unix socket's address before its path.
const UNIX_PATH: u64 = 2;

kstruct!(
    /// `socket`
    Socket
);
kfields!(probed Socket {
    sk -> Sock = SOCKET_SK;
    socket_type: u16 = SOCKET_TYPE;
});

kstruct!(
    /// `sock`
    Sock
);
kfields!(probed Sock {
    family: u16 = SOCK_FAMILY;
    state: u8 = SOCK_STATE;
    dport_be: u16 = SOCK_DPORT;
    num: u16 = SOCK_NUM;
    protocol: u16 = SOCK_PROTOCOL;
    ack_backlog: u32 = SOCK_ACK_BACKLOG;
    max_ack_backlog: u32 = SOCK_MAX_ACK_BACKLOG;
    unix_peer -> Sock = UNIX_SOCK_PEER;
    unix_addr: Ptr = UNIX_SOCK_ADDR;
});

impl Sock {
    /// Whether the socket itself has a remote end.
    #[inline(always)]
    pub fn is_connected(self) -> bool {
        self.dport_be() != 0 || self.state() == ESTABLISHED
    }

    /// Writes the remote end where the socket has one.
    #[inline(always)]
    pub fn remote(self, out: &mut SocketFacts) {
        let port = self.dport_be();
        if port == 0 && out.state != u16::from(ESTABLISHED) {
            return;
        }
        match out.sock_family {
            AF_INET => {
                out.remote = [0; 16];
                probed_to(self.0, &super::SOCK_DADDR, v4(&mut out.remote));
            }
            AF_INET6 => probed_to(self.0, &super::SOCK_V6_DADDR, &mut out.remote),
            _ => {
                // A pair has no names, and is connected all the same.
                out.flags |= socket_flags::CONNECTED;
                return;
            }
        }
        out.family = out.sock_family;
        out.remote_port = u16::from_be(port);
        out.flags |= socket_flags::CONNECTED;
    }

    /// Appends the address of a Unix socket: its peer's where that has one, else its own. Returns the length.
    #[inline(always)]
    pub fn append_unix_path(self, record: &mut Record) -> u16 {
        let len = append_unix_address(self.unix_peer().unix_addr(), record);
        if len == 0 { append_unix_address(self.unix_addr(), record) } else { len }
    }
}

#[inline(always)]
fn append_unix_address(address: Ptr, record: &mut Record) -> u16 {
    let len = u64::from(probed::<u32>(address.0, &super::UNIX_ADDRESS_LEN));
    if len <= UNIX_PATH || len > 0x7f {
        return 0;
    }
    let path = address.0.wrapping_byte_add(super::UNIX_ADDRESS_NAME.load() as usize + UNIX_PATH as usize);
    record.append_kernel(path, masked::<0x7f>(len - UNIX_PATH))
}

impl File {
    /// What is known of the socket behind this file, the remote end left out. Only for a file that is a socket.
    #[inline(always)]
    pub fn socket_facts(self, out: &mut SocketFacts) {
        let socket = self.socket();
        let sk = socket.sk();
        out.ino = self.inode().ino();
        out.sock_type = socket.socket_type();
        out.sock_family = sk.family();
        out.family = out.sock_family;
        out.protocol = sk.protocol();
        let state = sk.state();
        out.state = u16::from(state);
        if state == LISTEN {
            out.flags |= socket_flags::SERVER;
        }
        // Of a raw socket this is the protocol.
        let port = if out.sock_type == SOCK_RAW { 0 } else { sk.num() };
        match out.sock_family {
            AF_INET => {
                out.local_port = port;
                probed_to(sk.0, &super::SOCK_RCV_SADDR, v4(&mut out.local));
            }
            AF_INET6 => {
                out.local_port = port;
                probed_to(sk.0, &super::SOCK_V6_RCV_SADDR, &mut out.local);
            }
            _ => {}
        }
    }

    /// The key of this socket in the table of remote ends.
    #[inline(always)]
    pub fn peer_key(self) -> PeerKey {
        PeerKey { sock: self.socket().sk().0 as u64, ino: self.inode().ino() }
    }
}

/// The part of an address that an IPv4 one takes.
#[inline(always)]
fn v4(address: &mut [u8; 16]) -> &mut [u8; 4] {
    unsafe { &mut *(&raw mut *address).cast() }
}

/// Four bytes of an address, as they are in memory.
#[inline(always)]
fn word(address: &[u8; 16], index: usize) -> u32 {
    unsafe { core::ptr::read_volatile((&raw const *address).cast::<u32>().add(index)) }
}

/// `::ffff:0:0/96`, behind which IPv6 sockets speak IPv4.
#[inline(always)]
fn is_mapped(address: &[u8; 16]) -> bool {
    word(address, 0) | word(address, 1) == 0 && word(address, 2) == 0xffff_u32.to_be()
}

#[inline(always)]
fn is_set(address: &[u8; 16]) -> bool {
    word(address, 0) | word(address, 1) | word(address, 2) | word(address, 3) != 0
}

#[inline(always)]
fn unmap(address: &mut [u8; 16]) {
    let ip = word(address, 3);
    *address = [0; 16];
    *v4(address) = ip.to_ne_bytes();
}

/// Writes IPv4 addresses as such where an IPv6 socket carries them.
#[inline(always)]
pub fn unmap_v4(out: &mut SocketFacts) {
    if out.family == AF_INET6
        && (is_mapped(&out.remote) || (is_mapped(&out.local) && out.remote_port == 0 && !is_set(&out.remote)))
    {
        out.family = AF_INET;
        unmap(&mut out.remote);
        unmap(&mut out.local);
    }
}
