//! What goes through sockets: the part that sending and receiving have in common.
//!
//! This is done by the thousand, and rules ask for little of it. So what no rule can match is dropped as soon as the
//! socket tells, before anything is written.

use aya_ebpf::{helpers::generated::bpf_probe_read_user, programs::BtfTracePointContext};
use vedette_abi::{Call, DATA_CAP, Kind, NetCall, Peer, ProbeError, filter_flags, socket_flags};

use super::{net_socket::WOULD_BLOCK, sockaddr::SockAddr, syscall::Exit};
use crate::{
    emit, filter,
    kernel::{AF_INET, AF_INET6, AF_UNIX, File, unmap_v4},
    maps::PEERS,
    record::Record,
};

const SOCK_STREAM: u16 = 1;
const IPPROTO_TCP: u16 = 6;
const IPPROTO_MPTCP: u16 = 262;

/// A direction, and the flags of the filter that are about it.
pub struct Way {
    /// Its kind of event.
    pub kind: Kind,
    /// Some rule can match it on a TCP socket.
    pub tcp: u64,
    /// Some rule can match it on a connected socket.
    pub connected: u64,
    /// Some rule can match it where the remote end is the same as before.
    pub same_peer: u64,
    /// Whether it receives.
    pub receives: bool,
}

/// Where the parts of a message are in the caller's memory.
struct Message {
    name: u64,
    name_len: u64,
    data: u64,
    /// Bytes at `data`.
    size: u64,
    /// Bytes that were moved.
    bytes: u64,
}

/// Reports what a call moved.
#[inline(always)]
pub fn report(ctx: &BtfTracePointContext, way: &Way) -> Option<()> {
    let exit = Exit::of_socket(ctx)?;
    if exit.ret == WOULD_BLOCK && !filter::flag(filter_flags::WOULD_BLOCK) {
        emit::filtered(way.kind);
        return None;
    }
    if !filter::wants(way.kind, exit.task) {
        return None;
    }
    let fd = exit.args[0] as i32;
    let file = exit.task.files().file(fd as u32);
    let is_socket = fd >= 0 && !file.is_null() && file.inode().is_socket();
    if is_socket && !is_asked_for(file, way) {
        emit::filtered(way.kind);
        return None;
    }
    let Some(mut record) = Record::new::<NetCall>() else {
        emit::failed(way.kind, ProbeError::NoScratch);
        return None;
    };
    let body = record.body::<NetCall>();
    body.ret = exit.ret;
    body.args = exit.args;
    body.fd = fd;
    let message = message(&exit, &mut record);
    body.bytes = message.bytes as u32;
    body.size = message.size as u32;
    if is_socket {
        let asked = SockAddr::read(&mut record, &exit, message.name, message.name_len);
        let named = asked.write(&mut body.socket.remote, &mut body.socket.remote_port);
        if asked.family == AF_UNIX {
            body.path_len = asked.append_path(&mut record, &exit, message.name, message.name_len);
        }
        if !remote(file, &mut record, body, named, asked.family, way.receives) && !filter::flag(way.same_peer)
        {
            emit::filtered(way.kind);
            return None;
        }
    }
    if message.bytes > 0 && filter::flag(filter_flags::DATA) {
        let len = if message.size < message.bytes { message.size } else { message.bytes };
        let len = if len > DATA_CAP as u64 { DATA_CAP as u64 } else { len };
        body.data_len = record.append_user(message.data, len);
    }
    emit::emit(way.kind, exit.call, exit.flags(), exit.task, record);
    Some(())
}

/// Whether some rule can match what goes through a socket of this protocol and state.
#[inline(always)]
fn is_asked_for(file: File, way: &Way) -> bool {
    let socket = file.socket();
    let sk = socket.sk();
    let family = sk.family();
    if (family == AF_INET || family == AF_INET6) && socket.socket_type() == SOCK_STREAM {
        let protocol = sk.protocol();
        if (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP) && !filter::flag(way.tcp) {
            return false;
        }
    }
    !sk.is_connected() || filter::flag(way.connected)
}

/// Fills in the socket and its remote end, which is the one that the call named, if it `named` one. Returns whether that
/// is another than before.
#[inline(always)]
fn remote(
    file: File,
    record: &mut Record,
    body: &mut NetCall,
    named: bool,
    family: u16,
    receives: bool,
) -> bool {
    let socket = &mut body.socket;
    file.socket_facts(socket);
    let sk = file.socket().sk();
    let connected = sk.is_connected();
    if connected {
        socket.flags |= socket_flags::CONNECTED;
    }
    if named {
        socket.family = family;
    } else if connected {
        sk.remote(socket);
    }
    unmap_v4(socket);
    if socket.sock_family == AF_UNIX {
        if body.path_len == 0 {
            body.path_len = sk.append_unix_path(record);
            return false;
        }
        // Paths are not remembered: each counts as another.
        socket.flags |= socket_flags::NAME_CHANGED;
        return true;
    }
    let key = file.peer_key();
    let known = PEERS.get_ptr(key);
    let mut changed = !connected;
    if let Some(peer) = known {
        let peer = unsafe { &*peer };
        if connected && !named {
            socket.flags |= peer.flags & socket_flags::SERVER;
            return false;
        }
        changed = named
            && (peer.port != socket.remote_port
                || peer.family != socket.family
                || differs(&peer.address, &socket.remote));
        if !changed {
            socket.flags |= peer.flags & socket_flags::SERVER;
            return false;
        }
    } else if connected && !named {
        return false;
    } else {
        changed |= named;
    }
    if body.ret < 0 {
        return false;
    }
    socket.flags |= socket_flags::NAME_CHANGED;
    // Who was spoken to first is the server.
    let role = if receives { socket_flags::SERVER } else { 0 };
    socket.flags |= role;
    let peer =
        Peer { address: socket.remote, port: socket.remote_port, family: socket.family, flags: role, pad: 0 };
    let _ = PEERS.insert(key, peer, 0);
    changed
}

#[inline(always)]
fn differs(a: &[u8; 16], b: &[u8; 16]) -> bool {
    let word =
        |of: &[u8; 16], i: usize| unsafe { core::ptr::read_volatile((&raw const *of).cast::<u32>().add(i)) };
    let mut i = 0;
    while i < 4 {
        if word(a, i) != word(b, i) {
            return true;
        }
        i += 1;
    }
    false
}

/// Finds the parts of the call's message, of several the first.
#[inline(always)]
fn message(exit: &Exit, record: &mut Record) -> Message {
    let bytes = if exit.ret > 0 { exit.ret as u64 } else { 0 };
    let call = exit.call;
    if call == Call::Sendto as u8 || call == Call::Recvfrom as u8 {
        let mut name_len = exit.args[5];
        if call == Call::Recvfrom as u8 {
            name_len = u64::from(user_word(name_len));
        }
        return Message { name: exit.args[4], name_len, data: exit.args[1], size: exit.args[2], bytes };
    }
    let at = exit.args[1];
    let mut message = Message { name: 0, name_len: 0, data: 0, size: 0, bytes };
    // `struct msghdr`: name, its length, pieces; each piece is an address and a length.
    let pieces;
    if exit.compat {
        let Some(header) = record.peek_user(at, 12) else { return message };
        message.name = u64::from(word(header, 0));
        message.name_len = u64::from(word(header, 1));
        pieces = u64::from(word(header, 2));
        if let Some(piece) = record.peek_user(pieces, 8) {
            message.data = u64::from(word(piece, 0));
            message.size = u64::from(word(piece, 1));
        }
    } else {
        let Some(header) = record.peek_user(at, 24) else { return message };
        message.name = long(header, 0);
        message.name_len = u64::from(word(header, 2));
        pieces = long(header, 4);
        if let Some(piece) = record.peek_user(pieces, 16) {
            message.data = long(piece, 0);
            message.size = long(piece, 2);
        }
    }
    if call == Call::Sendmmsg as u8 || call == Call::Recvmmsg as u8 {
        // `struct mmsghdr`: a `msghdr`, then the bytes that were moved; the call returns a number of messages.
        let offset = if exit.compat { 28 } else { 56 };
        message.bytes = if exit.ret > 0 { u64::from(user_word(at + offset)) } else { 0 };
    }
    message
}

/// A word of the caller's memory; zero where it cannot be read.
#[inline(always)]
fn user_word(at: u64) -> u32 {
    let mut word = 0u32;
    let _ = unsafe { bpf_probe_read_user((&raw mut word).cast(), 4, at as *const _) };
    word
}

#[inline(always)]
fn word(at: *const u8, index: usize) -> u32 {
    unsafe { core::ptr::read_volatile(at.cast::<u32>().add(index)) }
}

/// Eight bytes from the word with that index on.
#[inline(always)]
fn long(at: *const u8, index: usize) -> u64 {
    u64::from(word(at, index)) | u64::from(word(at, index + 1)) << 32
}
