//! Calls on sockets.

use vedette_event::abi::Call;

use super::{Argument, Form, From, RES, number_of as n, string_of as s};

/// Address families (`include/linux/socket.h`).
const FAMILIES: &[(u64, &str)] = &[
    (0, "AF_UNSPEC"),
    (1, "AF_UNIX"),
    (2, "AF_INET"),
    (3, "AF_AX25"),
    (4, "AF_IPX"),
    (5, "AF_APPLETALK"),
    (6, "AF_NETROM"),
    (7, "AF_BRIDGE"),
    (8, "AF_ATMPVC"),
    (9, "AF_X25"),
    (10, "AF_INET6"),
    (11, "AF_ROSE"),
    (12, "AF_DECnet"),
    (13, "AF_NETBEUI"),
    (14, "AF_SECURITY"),
    (15, "AF_KEY"),
    (16, "AF_NETLINK"),
    (17, "AF_PACKET"),
    (18, "AF_ASH"),
    (19, "AF_ECONET"),
    (20, "AF_ATMSVC"),
    (21, "AF_RDS"),
    (22, "AF_SNA"),
    (23, "AF_IRDA"),
    (24, "AF_PPPOX"),
    (25, "AF_WANPIPE"),
    (26, "AF_LLC"),
    (27, "AF_IB"),
    (28, "AF_MPLS"),
    (29, "AF_CAN"),
    (30, "AF_TIPC"),
    (31, "AF_BLUETOOTH"),
    (32, "AF_IUCV"),
    (33, "AF_RXRPC"),
    (34, "AF_ISDN"),
    (35, "AF_PHONET"),
    (36, "AF_IEEE802154"),
    (37, "AF_CAIF"),
    (38, "AF_ALG"),
    (39, "AF_NFC"),
    (40, "AF_VSOCK"),
    (41, "AF_KCM"),
    (42, "AF_QIPCRTR"),
    (43, "AF_SMC"),
    (44, "AF_XDP"),
    (45, "AF_MCTP"),
];

/// Flags of `accept4` (`include/linux/net.h`).
const ACCEPT_FLAGS: &[(u64, &str)] = &[(0o4_000, "SOCK_NONBLOCK"), (0o2_000_000, "SOCK_CLOEXEC")];

/// Levels of `setsockopt` (`include/linux/socket.h`).
const LEVELS: &[(u64, &str)] = &[
    (0, "SOL_IP"),
    (1, "SOL_SOCKET"),
    (6, "SOL_TCP"),
    (17, "SOL_UDP"),
    (41, "SOL_IPV6"),
    (58, "SOL_ICMPV6"),
    (132, "SOL_SCTP"),
    (255, "SOL_RAW"),
    (263, "SOL_PACKET"),
    (270, "SOL_NETLINK"),
    (279, "SOL_ALG"),
    (282, "SOL_TLS"),
    (283, "SOL_XDP"),
];

/// Options of the level `SOL_SOCKET` (`include/uapi/asm-generic/socket.h`).
const OPTIONS: &[(u64, &str)] = &[
    (1, "SO_DEBUG"),
    (2, "SO_REUSEADDR"),
    (3, "SO_TYPE"),
    (4, "SO_ERROR"),
    (5, "SO_DONTROUTE"),
    (6, "SO_BROADCAST"),
    (7, "SO_SNDBUF"),
    (8, "SO_RCVBUF"),
    (9, "SO_KEEPALIVE"),
    (10, "SO_OOBINLINE"),
    (11, "SO_NO_CHECK"),
    (12, "SO_PRIORITY"),
    (13, "SO_LINGER"),
    (14, "SO_BSDCOMPAT"),
    (15, "SO_REUSEPORT"),
    (16, "SO_PASSCRED"),
    (17, "SO_PEERCRED"),
    (18, "SO_RCVLOWAT"),
    (19, "SO_SNDLOWAT"),
    (20, "SO_RCVTIMEO"),
    (21, "SO_SNDTIMEO"),
    (22, "SO_SECURITY_AUTHENTICATION"),
    (23, "SO_SECURITY_ENCRYPTION_TRANSPORT"),
    (24, "SO_SECURITY_ENCRYPTION_NETWORK"),
    (25, "SO_BINDTODEVICE"),
    (26, "SO_ATTACH_FILTER"),
    (27, "SO_DETACH_FILTER"),
    (28, "SO_PEERNAME"),
    (29, "SO_TIMESTAMP"),
    (30, "SO_ACCEPTCONN"),
    (31, "SO_PEERSEC"),
    (32, "SO_SNDBUFFORCE"),
    (33, "SO_RCVBUFFORCE"),
    (34, "SO_PASSSEC"),
    (35, "SO_TIMESTAMPNS"),
    (36, "SO_MARK"),
    (37, "SO_TIMESTAMPING"),
    (38, "SO_PROTOCOL"),
    (39, "SO_DOMAIN"),
    (40, "SO_RXQ_OVFL"),
    (41, "SO_WIFI_STATUS"),
    (42, "SO_PEEK_OFF"),
    (43, "SO_NOFCS"),
    (44, "SO_LOCK_FILTER"),
    (45, "SO_SELECT_ERR_QUEUE"),
    (46, "SO_BUSY_POLL"),
    (47, "SO_MAX_PACING_RATE"),
    (48, "SO_BPF_EXTENSIONS"),
    (49, "SO_INCOMING_CPU"),
    (50, "SO_ATTACH_BPF"),
    (51, "SO_ATTACH_REUSEPORT_CBPF"),
    (52, "SO_ATTACH_REUSEPORT_EBPF"),
    (53, "SO_CNX_ADVICE"),
    (55, "SO_MEMINFO"),
    (56, "SO_INCOMING_NAPI_ID"),
    (57, "SO_COOKIE"),
    (59, "SO_PEERGROUPS"),
    (60, "SO_ZEROCOPY"),
    (61, "SO_TXTIME"),
    (62, "SO_BINDTOIFINDEX"),
    (68, "SO_DETACH_REUSEPORT_BPF"),
    (69, "SO_PREFER_BUSY_POLL"),
    (70, "SO_BUSY_POLL_BUDGET"),
    (71, "SO_NETNS_COOKIE"),
    (72, "SO_BUF_LOCK"),
    (73, "SO_RESERVE_MEM"),
    (74, "SO_TXREHASH"),
    (75, "SO_RCVMARK"),
    (76, "SO_PASSPIDFD"),
    (77, "SO_PEERPIDFD"),
];

/// The arguments of a call of this family.
pub fn arguments(call: Call) -> Option<&'static [Argument]> {
    const FD: Argument = n("fd", From::Word(3), Form::Fd);
    const NEW: Argument = n("fd", From::Ret, Form::Fd);
    const TUPLE: Argument = s("tuple", Form::Tuple);
    const ADDR: Argument = s("addr", Form::Address);
    const DATA: Argument = s("data", Form::Data);
    const SIZE: Argument = n("size", From::Word(2), Form::Dec);
    const DOMAIN: Argument = n("domain", From::Arg32(0), Form::Choice(FAMILIES));
    const TYPE: Argument = n("type", From::Arg32(1), Form::Dec);
    const PROTO: Argument = n("proto", From::Arg32(2), Form::Dec);
    const SHARE: Argument = n("queuepct", From::Share(0), Form::Dec);
    const LENGTH: Argument = n("queuelen", From::Low(0), Form::Dec);
    const ROOM: Argument = n("queuemax", From::High(0), Form::Dec);
    Some(match call {
        Call::Socket => const { &[NEW, DOMAIN, TYPE, PROTO] },
        Call::Socketpair => {
            const {
                &[
                    RES,
                    n("fd1", From::Low(0), Form::Int),
                    n("fd2", From::High(0), Form::Int),
                    DOMAIN,
                    TYPE,
                    PROTO,
                ]
            }
        }
        Call::Bind => const { &[RES, ADDR, FD] },
        Call::Connect => const { &[RES, TUPLE, FD, ADDR] },
        Call::Listen => const { &[RES, FD, n("backlog", From::Arg32(1), Form::Int)] },
        Call::Accept => const { &[NEW, TUPLE, SHARE, LENGTH, ROOM] },
        Call::Accept4 => {
            const { &[NEW, TUPLE, SHARE, LENGTH, ROOM, n("flags", From::Arg32(3), Form::Flags(ACCEPT_FLAGS))] }
        }
        Call::Setsockopt => {
            const {
                &[
                    RES,
                    FD,
                    n("level", From::Arg32(1), Form::Choice(LEVELS)),
                    n("optname", From::Arg32(2), Form::SocketOption(OPTIONS)),
                    n("val", From::Word(0), Form::Dec),
                    n("optlen", From::Arg32(4), Form::Dec),
                ]
            }
        }
        Call::Sendto | Call::Sendmsg => const { &[RES, DATA, FD, SIZE, TUPLE] },
        Call::Recvfrom => const { &[RES, DATA, TUPLE, FD, SIZE] },
        Call::Recvmsg => const { &[RES, SIZE, DATA, TUPLE, FD] },
        Call::Sendmmsg | Call::Recvmmsg => const { &[RES, FD, SIZE, DATA, TUPLE] },
        _ => return None,
    })
}
