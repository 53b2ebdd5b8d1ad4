//! A socket was connected.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{Kind, NetCall, ProbeError};

use super::syscall::Exit;
use crate::{
    emit, filter,
    kernel::File,
    record::{Record, masked},
};

const AF_UNSPEC: u16 = 0;
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Largest socket address that is read: `struct sockaddr_un`.
const ADDR_CAP: u64 = 110;

/// The head of any IP socket address: family, port, and room for `sockaddr_in6`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SockAddr {
    family: u16,
    port_be: u16,
    v4: [u8; 4],
    v6: [u8; 16],
    scope: u32,
}

/// Runs at the exit of the call, by tail call from `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
pub fn net_connect(ctx: BtfTracePointContext) -> i32 {
    let Some(exit) = Exit::of(&ctx) else { return 0 };
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
    let mut asked = SockAddr::default();
    let bytes = if addr_len > size_of::<SockAddr>() as u64 { size_of::<SockAddr>() as u64 } else { addr_len };
    if bytes >= 2 {
        exit.read((&raw mut asked).cast(), masked::<0x1f>(bytes) as u32, addr);
    }
    let socket = &mut body.socket;
    file.socket_facts(socket);
    socket.family = asked.family;
    match asked.family {
        AF_INET => {
            socket.remote_port = u16::from_be(asked.port_be);
            copy(&mut socket.remote, &asked.v4);
        }
        AF_INET6 => {
            socket.remote_port = u16::from_be(asked.port_be);
            socket.remote = asked.v6;
        }
        AF_UNIX => {
            let bytes = if addr_len > ADDR_CAP { ADDR_CAP } else { addr_len };
            if bytes > 2 {
                body.path_len = exit.append(record, addr, 2, bytes - 2);
            }
        }
        _ => {}
    }
    if asked.family != AF_UNSPEC {
        file.socket().sk().remote(socket);
    }
}

#[inline(always)]
fn copy(to: &mut [u8; 16], from: &[u8; 4]) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
    to[3] = from[3];
}
