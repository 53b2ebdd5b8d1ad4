//! What of sockets and their traffic a rule can match. What none can is dropped in the kernel.
//!
//! A condition is followed with some facts of an event known ("it is a `sendto`, on TCP") and everything else open. Only
//! where it comes to false whatever the rest may be, the kernel need not report such events.

use vedette_abi::{PLAIN_DOMAINS, PLAIN_PROTOCOLS, PLAIN_TYPES, SOCKET_TYPE_FLAGS, filter_flags as flags};
use vedette_policy::{
    EventType, EventTypes, FieldArg, FieldId, FieldName, Rule,
    check::{Atom, Cond, NumberOp, Test, TextOp},
    term::Term,
};

const SENDS: &[EventType] = &[EventType::Sendto, EventType::Sendmsg, EventType::Sendmmsg];
const RECEIVES: &[EventType] = &[EventType::Recvfrom, EventType::Recvmsg, EventType::Recvmmsg];
const ACCEPTS: &[EventType] = &[EventType::Accept, EventType::Accept4];
const DUPS: &[EventType] = &[EventType::Dup, EventType::Dup2, EventType::Dup3, EventType::Fcntl];

/// What `fd.type` says of sockets.
const SOCKET_TYPES: &[&[u8]] = &[b"ipv4", b"ipv6", b"unix", b"netlink"];

/// What is known of an event.
#[derive(Clone, Copy)]
enum Fact {
    /// It is on a TCP socket.
    Tcp,
    /// The socket is connected.
    Connected,
    /// The remote end is the same as before.
    SamePeer,
    /// It failed with `EAGAIN`.
    WouldBlock,
    /// The descriptor is no socket's, or the call failed.
    NoSocket,
    /// The arguments of a `socket` call.
    Made { domain: u64, kind: u64, protocol: u64 },
}

/// `-EAGAIN`
const WOULD_BLOCK: i128 = -11;

/// The flags of the filter that a rule on events of these types needs.
pub fn needed(rule: &Rule, types: &EventTypes) -> u64 {
    let can = |of: &[EventType], fact: Fact, flag: u64| {
        let matches = |event: &EventType| {
            types.contains(*event)
                && rule.conditions().iter().any(|c| Outcomes::of(&c.cond, *event, fact).holds)
        };
        if of.iter().any(matches) { flag } else { 0 }
    };
    let moves_data = SENDS.iter().chain(RECEIVES).any(|event| types.contains(*event));
    let reads_data = || rule.condition_fields().into_iter().chain(rule.output_fields()).any(is_data);
    can(SENDS, Fact::Tcp, flags::SEND_TCP)
        | can(RECEIVES, Fact::Tcp, flags::RECEIVE_TCP)
        | can(SENDS, Fact::Connected, flags::SEND_CONNECTED)
        | can(RECEIVES, Fact::Connected, flags::RECEIVE_CONNECTED)
        | can(SENDS, Fact::SamePeer, flags::SEND_SAME_PEER)
        | can(RECEIVES, Fact::SamePeer, flags::RECEIVE_SAME_PEER)
        | can(&[SENDS, RECEIVES, ACCEPTS].concat(), Fact::WouldBlock, flags::WOULD_BLOCK)
        | can(DUPS, Fact::NoSocket, flags::DUP_NO_SOCKET)
        | if plain_sockets().any(|made| can(&[EventType::Socket], made, 1) != 0) {
            flags::PLAIN_SOCKETS
        } else {
            0
        }
        | if moves_data && reads_data() { flags::DATA } else { 0 }
}

/// All ways to make a plain socket ([`vedette_abi::is_plain_socket`]).
fn plain_sockets() -> impl Iterator<Item = Fact> {
    let [first, second] = SOCKET_TYPE_FLAGS;
    PLAIN_DOMAINS.into_iter().flat_map(move |domain| {
        let kinds = PLAIN_TYPES
            .into_iter()
            .flat_map(move |kind| [0, first, second, first | second].map(|added| kind | added));
        kinds.flat_map(move |kind| PLAIN_PROTOCOLS.map(|protocol| Fact::Made { domain, kind, protocol }))
    })
}

/// Whether a field shows the data that was moved.
fn is_data(field: &FieldName) -> bool {
    match (field.id, &field.arg) {
        (FieldId::EvtBuffer | FieldId::EvtArgs | FieldId::EvtInfo, _) => true,
        (FieldId::EvtArg | FieldId::EvtRawarg, FieldArg::Key(key)) => &**key == "data",
        (FieldId::EvtArg | FieldId::EvtRawarg, _) => true,
        _ => false,
    }
}

/// What a condition can come to.
#[derive(Clone, Copy)]
struct Outcomes {
    holds: bool,
    fails: bool,
}

impl Outcomes {
    fn of(cond: &Cond, event: EventType, fact: Fact) -> Self {
        let parts =
            |parts: &[Cond]| -> Vec<Self> { parts.iter().map(|part| Self::of(part, event, fact)).collect() };
        match cond {
            Cond::And(inner) => {
                let inner = parts(inner);
                Self { holds: inner.iter().all(|o| o.holds), fails: inner.iter().any(|o| o.fails) }
            }
            Cond::Or(inner) => {
                let inner = parts(inner);
                Self { holds: inner.iter().any(|o| o.holds), fails: inner.iter().all(|o| o.fails) }
            }
            Cond::Not(inner) => {
                let inner = Self::of(inner, event, fact);
                Self { holds: inner.fails, fails: inner.holds }
            }
            Cond::Atom(atom) => match known(atom, event, fact) {
                Some(holds) => Self { holds, fails: !holds },
                None => Self { holds: true, fails: true },
            },
        }
    }
}

/// What a comparison comes to, where the facts tell.
fn known(atom: &Atom, event: EventType, fact: Fact) -> Option<bool> {
    let Term::Field(field) = &atom.term else { return None };
    let text = |is: &str| match &atom.test {
        Test::Text(TextOp::Equal, values) => Some(values.iter().any(|v| v == is.as_bytes())),
        _ => None,
    };
    let truth = |is: bool| match &atom.test {
        Test::Bool(b) => Some(*b == is),
        _ => None,
    };
    let number = |is: i128| match &atom.test {
        Test::Number(op, _, n) => Some(compare(*op, is, *n)),
        Test::NumberIn(values) => Some(values.contains(&is)),
        _ => None,
    };
    let passes = match (field.id, fact) {
        // Where there is no descriptor, a negated comparison need not hold.
        (FieldId::FdType, Fact::NoSocket) if !atom.negated => match &atom.test {
            Test::Text(TextOp::Equal, values) => {
                values.iter().all(|v| SOCKET_TYPES.contains(&v.as_slice())).then_some(false)
            }
            _ => None,
        },
        (FieldId::EvtRawarg, Fact::Made { domain, kind, protocol }) => match &field.arg {
            FieldArg::Key(key) => match &**key {
                "domain" => number(domain.into()),
                "type" => number(kind.into()),
                "proto" => number(protocol.into()),
                _ => None,
            },
            _ => None,
        },
        (FieldId::EvtArg, Fact::Made { domain, .. }) if matches!(&field.arg, FieldArg::Key(k) if &**k == "domain") =>
        {
            match domain {
                2 => text("AF_INET"),
                10 => text("AF_INET6"),
                // It has two names.
                _ => match text("AF_UNIX")? || text("AF_LOCAL")? {
                    true => None,
                    false => Some(false),
                },
            }
        }
        (FieldId::EvtType | FieldId::SyscallType, _) => text(event.name()),
        (FieldId::FdL4proto, Fact::Tcp) => text("tcp"),
        (FieldId::FdConnected, Fact::Connected) => truth(true),
        (FieldId::FdNameChanged, Fact::SamePeer) => truth(false),
        (FieldId::EvtRes, Fact::WouldBlock) => text("EAGAIN"),
        (FieldId::EvtFailed, Fact::WouldBlock) => truth(true),
        (FieldId::EvtRawres, Fact::WouldBlock) => number(WOULD_BLOCK),
        _ => None,
    }?;
    Some(passes != atom.negated)
}

fn compare(op: NumberOp, left: i128, right: i128) -> bool {
    op.holds(left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use vedette_policy::{PolicySet, Source};

    use super::*;

    fn needs(condition: &str) -> u64 {
        let text = format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n");
        let loaded = PolicySet::load([Source::new("t.yaml", text)]);
        let set = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        needed(&set.rules()[0], &set.event_types_of(0))
    }

    /// The shape of the `outbound` and `inbound` macros that people have.
    const OUTBOUND: &str = "((evt.type = connect or (evt.type in (sendto, sendmsg) and fd.l4proto != tcp and \
        fd.connected = false and fd.name_changed = true)) and (evt.rawres >= 0 or evt.res = EINPROGRESS))";

    #[test]
    fn what_no_rule_can_match_is_not_asked_for() {
        assert_eq!(needs(OUTBOUND), 0);
        assert_eq!(needs(&format!("{OUTBOUND} and fd.sip = 1.2.3.4")), 0);
        assert_eq!(needs(&OUTBOUND.replace("sendto, sendmsg", "recvfrom, recvmsg")), 0);
        assert_eq!(needs("evt.type = connect"), 0);
        assert_eq!(needs("evt.type in (accept, accept4, listen) and evt.rawres >= 0"), 0);
    }

    #[test]
    fn what_one_can_match_is() {
        let everything = flags::SEND_TCP | flags::SEND_CONNECTED | flags::SEND_SAME_PEER | flags::WOULD_BLOCK;
        assert_eq!(needs("evt.type = sendto"), everything);
        assert_eq!(needs("evt.type = sendmmsg and evt.failed = false"), everything & !flags::WOULD_BLOCK);
        assert_eq!(needs("evt.type = sendto and not evt.res = EAGAIN"), everything & !flags::WOULD_BLOCK);
        assert_eq!(needs("evt.type = sendto and fd.l4proto != tcp"), everything & !flags::SEND_TCP);
        assert_eq!(
            needs("evt.type = sendto and not fd.l4proto in (tcp, udp)"),
            everything & !flags::SEND_TCP
        );
        assert_eq!(needs("evt.type = sendto and fd.l4proto in (tcp, udp)"), everything);
        assert_eq!(needs("evt.type = sendto and fd.l4proto contains c"), everything);
        assert_eq!(needs("evt.type = sendto and (fd.l4proto != tcp or proc.name = x)"), everything);
        assert_eq!(
            needs("evt.type = sendto and not fd.connected = true"),
            everything & !flags::SEND_CONNECTED
        );
        assert_eq!(
            needs("evt.type = sendto and fd.name_changed = true"),
            everything & !flags::SEND_SAME_PEER
        );
        assert_eq!(
            needs("evt.type = recvmsg and fd.name_changed = true and evt.rawres > 0"),
            flags::RECEIVE_TCP | flags::RECEIVE_CONNECTED
        );
        assert_eq!(needs("evt.type = accept4"), flags::WOULD_BLOCK);
        assert_eq!(needs("evt.type = accept4 and evt.rawres in (-11, 3)"), flags::WOULD_BLOCK);
    }

    #[test]
    fn plain_sockets_are_asked_for_only_where_a_rule_can_be_about_one() {
        let plain = |condition: &str| {
            needs(&format!("evt.type = socket and {condition}")) & flags::PLAIN_SOCKETS != 0
        };
        assert!(plain("evt.failed = false"));
        assert!(plain("evt.rawarg.domain = 2"));
        assert!(plain("evt.rawarg.type in (2, 3)"));
        assert!(plain("evt.rawarg.type = 526337"));
        assert!(plain("evt.rawarg.proto > 16"));
        assert!(plain("evt.arg.domain = AF_UNIX"));
        assert!(plain("evt.arg.domain != AF_PACKET"));
        assert!(plain("(evt.rawarg.domain = 17 or proc.name = x)"));
        assert!(!plain("evt.rawarg.domain = 17"));
        assert!(!plain(
            "(evt.rawarg.domain = 17 or (evt.rawarg.domain in (2, 10) and evt.rawarg.type in (3, 2051)))"
        ));
        assert!(!plain("evt.arg.domain in (AF_INET, AF_INET6) and evt.rawarg.proto = 255"));
        assert!(!plain("evt.arg.domain = AF_NETLINK and proc.name = x"));
        assert!(!plain("not evt.rawarg.domain in (1, 2, 10)"));
        assert_eq!(needs("evt.type = bind"), 0);
    }

    #[test]
    fn descriptors_of_no_socket_are_asked_for_only_where_a_rule_can_be_about_one() {
        let other = |condition: &str| {
            needs(&format!("evt.type in (dup2, fcntl) and {condition}")) & flags::DUP_NO_SOCKET != 0
        };
        assert!(other("fd.num in (0, 1, 2)"));
        assert!(other("fd.type in (ipv4, file)"));
        assert!(other("fd.type != ipv4"));
        assert!(other("not fd.type in (ipv4, ipv6)"));
        assert!(other("(fd.type = ipv4 or proc.name = x)"));
        assert!(!other("fd.type in (ipv4, ipv6) and fd.num = 0"));
        assert!(!other("fd.type = unix"));
    }

    #[test]
    fn data_is_carried_only_where_a_rule_looks_at_it() {
        let data = |condition: &str| needs(condition) & flags::DATA != 0;
        assert!(data("evt.type = recvfrom and evt.buffer contains x"));
        assert!(data("evt.type = sendto and evt.arg.data contains x"));
        assert!(data("evt.type = sendto and evt.arg[1] contains x"));
        assert!(!data("evt.type = sendto and evt.arg.tuple contains x and evt.buflen > 3"));
        assert!(!data("evt.type = connect and evt.args contains x"));
    }
}
