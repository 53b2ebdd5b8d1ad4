//! Data was sent through a socket.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{Kind, filter_flags};

use super::message::{Way, report};

const WAY: Way = Way {
    kind: Kind::NetSend,
    tcp: filter_flags::SEND_TCP,
    connected: filter_flags::SEND_CONNECTED,
    same_peer: filter_flags::SEND_SAME_PEER,
    receives: false,
};

/// Runs at the exit of the calls, by tail call from `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
pub fn net_send(ctx: BtfTracePointContext) -> i32 {
    report(&ctx, &WAY);
    0
}
