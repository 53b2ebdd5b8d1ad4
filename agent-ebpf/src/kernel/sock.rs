//! `socket` and `sock`.

use vedette_abi::SocketFacts;

use super::{File, kfields, kstruct};

/// `AF_INET` and `AF_INET6` of `<sys/socket.h>`.
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

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

impl Sock {
    /// Writes the remote end where the socket has one.
    #[inline(always)]
    pub fn remote(self, out: &mut SocketFacts) {
        let port = self.dport_be();
        if port == 0 {
            return;
        }
        match self.family() {
            AF_INET => {
                out.remote_port = u16::from_be(port);
                out.family = AF_INET;
                let [a, b, c, d] = self.daddr();
                (out.remote[0], out.remote[1], out.remote[2], out.remote[3]) = (a, b, c, d);
            }
            AF_INET6 => {
                out.remote_port = u16::from_be(port);
                out.family = AF_INET6;
                out.remote = self.v6_daddr();
            }
            _ => {}
        }
    }
}

impl File {
    /// What is known of the socket behind this file, the remote end left out. Only for a file that is a socket.
    #[inline(always)]
    pub fn socket_facts(self, out: &mut SocketFacts) {
        let socket = self.socket();
        let sk = socket.sk();
        out.ino = self.inode().ino();
        out.sock_type = socket.socket_type();
        out.sock_family = sk.family();
        out.family = out.sock_family;
        out.protocol = sk.protocol();
        out.state = u16::from(sk.state());
        match out.sock_family {
            AF_INET => {
                out.local_port = sk.num();
                let [a, b, c, d] = sk.rcv_saddr();
                (out.local[0], out.local[1], out.local[2], out.local[3]) = (a, b, c, d);
            }
            AF_INET6 => {
                out.local_port = sk.num();
                out.local = sk.v6_rcv_saddr();
            }
            _ => {}
        }
    }
}
