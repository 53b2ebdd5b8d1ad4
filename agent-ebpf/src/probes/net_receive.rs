//! Data was received from a socket.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{Kind, filter_flags};

use super::message::{Way, report};

const WAY: Way = Way {
    kind: Kind::NetReceive,
    tcp: filter_flags::RECEIVE_TCP,
    connected: filter_flags::RECEIVE_CONNECTED,
    same_peer: filter_flags::RECEIVE_SAME_PEER,
    receives: true,
};

/// Runs at the exit of the calls, by tail call from `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
pub fn net_receive(ctx: BtfTracePointContext) -> i32 {
    report(&ctx, &WAY);
    0
}
