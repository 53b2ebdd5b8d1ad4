//! A socket was connected.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{Kind, NetCall, ProbeError, socket_flags};

use super::{sockaddr::SockAddr, syscall::Exit};
use crate::{
    emit, filter,
    kernel::{AF_UNIX, File, unmap_v4},
    record::Record,
};

const AF_UNSPEC: u16 = 0;

/// Runs at the exit of the call, by tail call from `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
pub fn net_connect(ctx: BtfTracePointContext) -> i32 {
    let Some(exit) = Exit::of_socket(&ctx) else { return 0 };
    if !filter::wants(Kind::NetConnect, exit.task) {
        return 0;
    }
    note!(&ctx, "net_connect: pid {} fd {} returned {}", exit.task.tgid(), exit.args[0], exit.ret);
    let file = exit.file(exit.args[0] as u32);
    if file.is_null() || !file.inode().is_socket() {
        // Not a socket: the call failed with EBADF or ENOTSOCK, nothing was contacted.
        emit::filtered(Kind::NetConnect);
        return 0;
    }
    let Some(mut record) = Record::new::<NetCall>() else {
        emit::failed(Kind::NetConnect, ProbeError::NoScratch);
        return 0;
    };
    fill(&exit, file, &mut record);
    emit::emit(Kind::NetConnect, exit.call, exit.flags(), exit.task, record);
    0
}

/// Fills the body of a [`NetCall`] for a connect through the socket behind `file`, and appends its strings.
#[inline(always)]
pub fn fill(exit: &Exit, file: File, record: &mut Record) {
    let [fd, addr, addr_len, ..] = exit.args;
    let body = record.body::<NetCall>();
    body.ret = exit.ret;
    body.args = exit.args;
    body.fd = fd as i32;
    // What was asked for. The socket's own copy below wins where the call left one.
    let asked = SockAddr::read(record, exit, addr, addr_len);
    let socket = &mut body.socket;
    file.socket_facts(socket);
    socket.family = asked.family;
    if asked.write(&mut socket.remote, &mut socket.remote_port) {
        // The socket connects; it never was a server.
        socket.flags &= !socket_flags::SERVER;
    } else if asked.family == AF_UNIX {
        body.path_len = asked.append_path(record, exit, addr, addr_len);
    }
    if asked.family != AF_UNSPEC {
        file.socket().sk().remote(socket);
    }
    unmap_v4(socket);
}
