//! A socket was made, bound, listened on, accepted from or set up.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_user, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use vedette_abi::{
    Call, Kind, NetCall, Peer, ProbeError, SocketFacts, filter_flags, is_plain_socket, socket_flags,
};

use super::{sockaddr::SockAddr, syscall::Exit};
use crate::{
    emit, filter,
    kernel::{AF_UNIX, File, unmap_v4},
    maps::PEERS,
    record::{Record, masked},
};

/// Runs at the exit of the calls, by tail call from `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
pub fn net_socket(ctx: BtfTracePointContext) -> i32 {
    report(&ctx);
    0
}

/// `-EAGAIN`
pub const WOULD_BLOCK: i64 = -11;

#[inline(always)]
fn report(ctx: &BtfTracePointContext) -> Option<()> {
    let exit = Exit::of_socket(ctx)?;
    if exit.ret == WOULD_BLOCK && !filter::flag(filter_flags::WOULD_BLOCK) {
        emit::filtered(Kind::NetSocket);
        return None;
    }
    if exit.call == Call::Socket as u8
        && is_plain_socket(exit.args[0], exit.args[1], exit.args[2])
        && !filter::flag(filter_flags::PLAIN_SOCKETS)
    {
        emit::filtered(Kind::NetSocket);
        return None;
    }
    if !filter::wants(Kind::NetSocket, exit.task) {
        return None;
    }
    note!(ctx, "net_socket: pid {} call {} returned {}", exit.task.tgid(), exit.call, exit.ret);
    let Some(mut record) = Record::new::<NetCall>() else {
        emit::failed(Kind::NetSocket, ProbeError::NoScratch);
        return None;
    };
    let body = record.body::<NetCall>();
    body.ret = exit.ret;
    body.args = exit.args;
    let accepts = exit.call == Call::Accept as u8 || exit.call == Call::Accept4 as u8;
    body.fd = if accepts || exit.call == Call::Socket as u8 {
        if exit.ret < 0 { -1 } else { exit.ret as i32 }
    } else if exit.call == Call::Socketpair as u8 {
        pair(&exit, body)
    } else {
        exit.args[0] as i32
    };
    // Of a failed accept, the socket is the one that listens.
    let about = if accepts && exit.ret < 0 { exit.args[0] as i32 } else { body.fd };
    let file = exit.task.files().file(about as u32);
    if about >= 0 && !file.is_null() && file.inode().is_socket() {
        body.path_len = facts(file, &mut record, &mut body.socket);
        if accepts {
            accepted(&exit, file, body);
        }
    }
    if exit.call == Call::Setsockopt as u8 {
        let len = exit.args[4];
        let len = if len > 8 { 8 } else { len };
        // What cannot be read stays zero.
        let _ = unsafe {
            bpf_probe_read_user(
                (&raw mut body.value).cast(),
                masked::<0xf>(len) as u32,
                exit.args[3] as *const _,
            )
        };
    } else if exit.call == Call::Bind as u8 && exit.ret < 0 {
        let asked = SockAddr::read(&mut record, &exit, exit.args[1], exit.args[2]);
        if asked.write(&mut body.socket.local, &mut body.socket.local_port) {
            body.socket.family = asked.family;
            unmap_v4(&mut body.socket);
        } else if body.path_len == 0 {
            body.path_len = asked.append_path(&mut record, &exit, exit.args[1], exit.args[2]);
        }
    }
    emit::emit(Kind::NetSocket, exit.call, exit.flags(), exit.task, record);
    Some(())
}

/// What `socketpair` wrote; returns the first of both descriptors.
#[inline(always)]
fn pair(exit: &Exit, body: &mut NetCall) -> i32 {
    body.value = u64::MAX;
    if exit.ret < 0 {
        return -1;
    }
    let _ = unsafe { bpf_probe_read_user((&raw mut body.value).cast(), 8, exit.args[3] as *const _) };
    body.value as i32
}

/// The queue of the socket that listens, and that the new socket is a server's.
#[inline(always)]
fn accepted(exit: &Exit, file: File, body: &mut NetCall) {
    let listener = exit.task.files().file(exit.args[0] as u32);
    if !listener.is_null() {
        let sk = listener.socket().sk();
        body.value = u64::from(sk.ack_backlog()) | u64::from(sk.max_ack_backlog()) << 32;
    }
    let socket = &mut body.socket;
    socket.flags |= socket_flags::SERVER;
    if exit.ret >= 0 {
        let peer = Peer {
            address: socket.remote,
            port: socket.remote_port,
            family: socket.family,
            flags: socket_flags::SERVER,
            pad: 0,
        };
        let _ = PEERS.insert(file.peer_key(), peer, 0);
    }
}

/// Everything that the kernel holds of a socket. Appends the path of a Unix socket, and returns its length.
#[inline(always)]
pub fn facts(file: File, record: &mut Record, out: &mut SocketFacts) -> u16 {
    let sk = file.socket().sk();
    file.socket_facts(out);
    sk.remote(out);
    unmap_v4(out);
    if out.sock_family == AF_UNIX {
        return sk.append_unix_path(record);
    }
    if let Some(peer) = PEERS.get_ptr(file.peer_key()) {
        out.flags |= unsafe { (*peer).flags } & socket_flags::SERVER;
    }
    0
}
