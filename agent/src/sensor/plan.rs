//! From what the loaded policies need to what the kernel is told.

use std::collections::BTreeSet;

use vedette_abi::{
    Call, EVERY_SCOPE, Filter, IO_URING_CALLS, KINDS, Kind, NAME_WORDS, NameSet, filter_flags,
    io_uring_reports,
};

/// What to trace, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// System calls to trace.
    pub calls: BTreeSet<Call>,
    /// By kind: the scopes in which it is wanted.
    wanted: [u64; KINDS],
    flags: u64,
    /// Scopes in which opens are wanted whatever the names: those that change nothing, and those that may.
    every_open: [u64; 2],
    /// Names of files that rules on opens ask for: of opens that change nothing, and of those that may.
    names: [NameSet; 2],
    /// Event types that the policies name and that no program reports.
    pub unseen: BTreeSet<String>,
}

/// The flags that are about sockets and their traffic.
const TRAFFIC: u64 = filter_flags::SEND_TCP
    | filter_flags::RECEIVE_TCP
    | filter_flags::SEND_CONNECTED
    | filter_flags::RECEIVE_CONNECTED
    | filter_flags::SEND_SAME_PEER
    | filter_flags::RECEIVE_SAME_PEER
    | filter_flags::WOULD_BLOCK
    | filter_flags::PLAIN_SOCKETS
    | filter_flags::DUP_NO_SOCKET
    | filter_flags::DATA;

impl Default for Plan {
    fn default() -> Self {
        Self {
            calls: BTreeSet::new(),
            wanted: [0; KINDS],
            flags: 0,
            every_open: [EVERY_SCOPE; 2],
            names: [NameSet { bits: [0; NAME_WORDS] }; 2],
            unseen: BTreeSet::new(),
        }
    }
}

impl Plan {
    /// A plan in which opens come up only where [`Self::want_opens`] has asked for their names.
    pub fn of_named_opens() -> Self {
        Self { every_open: [0; 2], ..Self::default() }
    }

    /// Asks for opens, those that may change something ([`vedette_abi::may_change`]) or those that do not, of files that
    /// have certain names in their paths. `put` adds the names; where it returns false, for all of them in these scopes.
    pub fn want_opens(&mut self, may_change: bool, scopes: u64, put: impl FnOnce(&mut NameSet) -> bool) {
        let kind = usize::from(may_change);
        if !put(&mut self.names[kind]) {
            self.every_open[kind] |= scopes;
        }
    }

    /// The names that are asked for: of opens that change nothing, and of those that may.
    pub fn names(&self) -> &[NameSet; 2] {
        &self.names
    }

    /// Asks for an event type by the name that policies use, in the given scopes.
    pub fn want(&mut self, event_type: &str, scopes: u64) {
        let mut calls = Call::ALL.iter().filter(|c| c.name() == event_type && c.kind() != Kind::ExecFailed);
        match calls.next() {
            Some(call) => {
                self.calls.insert(*call);
                self.wanted[call.kind() as usize] |= scopes;
            }
            None => {
                self.unseen.insert(event_type.to_owned());
            }
        }
    }

    /// Asks for programs that could not be started, in the given scopes.
    pub fn want_failed_execs(&mut self, scopes: u64) {
        self.calls.extend(Call::ALL.iter().filter(|c| c.kind() == Kind::ExecFailed));
        self.wanted[Kind::ExecFailed as usize] |= scopes;
    }

    /// Asks for opens that fail.
    pub fn want_failed_opens(&mut self) {
        self.flags |= filter_flags::FAILED_OPENS;
    }

    /// Asks for the environment of new programs.
    pub fn want_environment(&mut self) {
        self.flags |= filter_flags::ENVIRONMENT;
    }

    /// Asks for the standard descriptors of new programs.
    pub fn want_stdio(&mut self) {
        self.flags |= filter_flags::STDIO;
    }

    /// Asks for what of sockets and their traffic is left out otherwise: some of [`filter_flags`].
    pub fn want_traffic(&mut self, flags: u64) {
        self.flags |= flags & TRAFFIC;
    }

    /// Asks for all of it.
    pub fn want_all_traffic(&mut self) {
        self.want_traffic(TRAFFIC);
    }

    /// Whether the environment of new programs is asked for.
    pub fn wants_environment(&self) -> bool {
        self.flags & filter_flags::ENVIRONMENT != 0
    }

    /// What either plan asks for.
    pub fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.calls.extend(&other.calls);
        both.unseen.extend(other.unseen.iter().cloned());
        both.flags |= other.flags;
        both.every_open.iter_mut().zip(other.every_open).for_each(|(mine, theirs)| *mine |= theirs);
        for (mine, theirs) in both.wanted.iter_mut().zip(other.wanted) {
            *mine |= theirs;
        }
        for (mine, theirs) in both.names.iter_mut().zip(&other.names) {
            mine.bits.iter_mut().zip(theirs.bits).for_each(|(mine, theirs)| *mine |= theirs);
        }
        both
    }

    /// Whether any call that comes by `sys_exit` is wanted.
    pub fn needs_syscalls(&self) -> bool {
        self.calls.iter().any(|call| !call.rows().is_empty())
    }

    /// Whether any operation of io_uring is wanted.
    pub fn needs_io_uring(&self) -> bool {
        !self.io_uring_dispatch().is_empty()
    }

    /// The table of io_uring's operations: operation → call in the low byte, its kind in the high byte.
    pub fn io_uring_dispatch(&self) -> Vec<(u32, u16)> {
        let entry = |call: Call| u16::from(call as u8) | (call.kind() as u16) << 8;
        IO_URING_CALLS
            .iter()
            .map(|(op, call)| {
                // What is not reported as the call yet is at least an operation of io_uring.
                let call = call.filter(|call| io_uring_reports(call.kind()));
                (u32::from(*op), call.unwrap_or(Call::IoUringOther))
            })
            .filter(|(_, call)| self.calls.contains(call))
            .map(|(op, call)| (op, entry(call)))
            .collect()
    }

    /// Whether records of this kind are wanted anywhere.
    pub fn wants(&self, kind: Kind) -> bool {
        self.wanted[kind as usize] != 0 || (kind.is_state() && self.needs_syscalls())
    }

    /// The filter as the kernel reads it. State is never filtered.
    pub fn filter(&self) -> Filter {
        let mut wanted = self.wanted;
        for kind in Kind::ALL.iter().filter(|k| k.is_state()) {
            wanted[*kind as usize] = EVERY_SCOPE;
        }
        Filter { wanted, flags: self.flags, every_open: self.every_open }
    }

    /// The dispatch table: row → entry (native call in the low byte, compat call in the high byte).
    pub fn dispatch(&self) -> Vec<(u32, u16)> {
        let mut rows = std::collections::BTreeMap::new();
        // What changes a process costs next to nothing once the hook is there, and keeps what rules ask of it true.
        let state = Call::ALL.iter().filter(|c| c.kind() == Kind::ProcessChange && self.needs_syscalls());
        for call in self.calls.iter().chain(state) {
            for row in call.rows() {
                let (row, shift) = if *row >= vedette_abi::COMPAT_BASE {
                    (row - vedette_abi::COMPAT_BASE, 8)
                } else {
                    (*row, 0)
                };
                *rows.entry(row).or_insert(0) |= u16::from(*call as u8) << shift;
                if row >= vedette_abi::SYSCALLS {
                    let socketcall = u16::from(vedette_abi::SOCKETCALL) << 8;
                    *rows.entry(vedette_abi::NR_SOCKETCALL).or_insert(0) |= socketcall;
                }
            }
        }
        rows.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vedette_abi::{SCOPE_CONTAINER, SCOPE_HOST};

    #[test]
    fn rows_of_both_instruction_sets_share_an_entry() {
        let mut plan = Plan::default();
        for name in ["open", "creat", "openat", "connect", "execve"] {
            plan.want(name, EVERY_SCOPE);
        }
        let rows: std::collections::BTreeMap<_, _> = plan.dispatch().into_iter().collect();
        // 5 is fstat for 64-bit programs and open for 32-bit ones; it must not be both.
        assert_eq!(rows.get(&5), Some(&(u16::from(Call::Open as u8) << 8)));
        assert_eq!(rows.get(&2), Some(&u16::from(Call::Open as u8)));
        assert_eq!(rows.get(&257), Some(&u16::from(Call::Openat as u8)));
        assert_eq!(rows.get(&59), None, "exec comes by its own tracepoint");
        assert_eq!(rows.get(&105), Some(&u16::from(Call::Setuid as u8)), "state comes along");
    }

    #[test]
    fn scopes_add_up_and_state_is_always_wanted() {
        let mut plan = Plan::default();
        plan.want("openat", SCOPE_CONTAINER);
        assert_eq!(plan.filter().wanted[Kind::FileOpen as usize], SCOPE_CONTAINER);
        plan.want("open", SCOPE_HOST);
        assert_eq!(plan.filter().wanted[Kind::FileOpen as usize], SCOPE_CONTAINER | SCOPE_HOST);
        assert_eq!(plan.filter().wanted[Kind::NetConnect as usize], 0);
        assert_eq!(plan.filter().wanted[Kind::ProcessExit as usize], EVERY_SCOPE);
    }

    #[test]
    fn operations_of_io_uring_come_with_the_calls_that_do_the_same() {
        use vedette_abi::{IORING_OP_OPENAT, IORING_OP_OPENAT2, IORING_OP_URING_CMD};
        let mut plan = Plan::default();
        plan.want("openat", EVERY_SCOPE);
        let entry = u16::from(Call::Openat as u8) | (Kind::FileOpen as u16) << 8;
        assert_eq!(plan.io_uring_dispatch(), [(u32::from(IORING_OP_OPENAT), entry)]);
        let mut plan = Plan::default();
        plan.want("open", EVERY_SCOPE);
        assert!(!plan.needs_io_uring(), "no operation does open(2)");
        plan.want("io_uring", EVERY_SCOPE);
        let ops: Vec<u32> = plan.io_uring_dispatch().into_iter().map(|(op, _)| op).collect();
        assert!(ops.contains(&u32::from(IORING_OP_URING_CMD)));
        assert!(!ops.contains(&u32::from(IORING_OP_OPENAT2)), "it has a type of its own");
        let mut plan = Plan::default();
        plan.want("accept4", EVERY_SCOPE);
        assert!(!plan.needs_io_uring(), "nothing is hooked for what would not be reported");
    }

    #[test]
    fn every_call_has_a_program() {
        use crate::sensor::programs::{Hook, PROGRAMS};
        for call in Call::ALL.iter().filter(|call| !call.rows().is_empty()) {
            let is_handler = |hook| matches!(hook, Hook::SyscallExit(kind) if kind == call.kind());
            assert!(PROGRAMS.iter().any(|program| is_handler(program.hook)), "nobody reports {call:?}");
        }
    }

    #[test]
    fn what_no_program_reports_is_named() {
        let mut plan = Plan::default();
        plan.want("futex", EVERY_SCOPE);
        assert!(plan.unseen.contains("futex") && !plan.needs_syscalls());
    }
}
