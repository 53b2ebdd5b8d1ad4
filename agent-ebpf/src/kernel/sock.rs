//! `socket` and `sock`.

use super::{kfields, kstruct};

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
    daddr: [u8; 4] = SOCK_DADDR;
    rcv_saddr: [u8; 4] = SOCK_RCV_SADDR;
    dport_be: u16 = SOCK_DPORT;
    num: u16 = SOCK_NUM;
    v6_daddr: [u8; 16] = SOCK_V6_DADDR;
    v6_rcv_saddr: [u8; 16] = SOCK_V6_RCV_SADDR;
    protocol: u16 = SOCK_PROTOCOL;
});
