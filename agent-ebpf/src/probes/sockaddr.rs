//! Socket addresses as programs pass them.

use super::syscall::Exit;
use crate::{
    kernel::{AF_INET, AF_INET6, AF_UNIX},
    record::{Record, masked},
};

/// Largest socket address that is read: `struct sockaddr_un`.
const UNIX_CAP: u64 = 110;
/// Bytes of the largest IP address, `struct sockaddr_in6`.
const INET6_LEN: u64 = 28;

/// A socket address, read into the free part of a record.
#[derive(Clone, Copy)]
pub struct SockAddr {
    /// `AF_*`; 0 where there is no address.
    pub family: u16,
    head: *const u8,
    len: u64,
}

impl SockAddr {
    /// Reads the address at `at`, of `len` bytes. It is valid until the record grows.
    #[inline(always)]
    pub fn read(record: &mut Record, exit: &Exit, at: u64, len: u64) -> Self {
        let none = Self { family: 0, head: core::ptr::null(), len: 0 };
        let len = if len > INET6_LEN { INET6_LEN } else { len };
        if at == 0 || len < 2 {
            return none;
        }
        let head = record.free();
        // What cannot be read stays zero.
        unsafe { core::ptr::write_bytes(head.cast::<u64>(), 0, 4) };
        exit.read(head, masked::<0x1f>(len) as u32, at);
        let head = head.cast_const();
        Self { family: unsafe { core::ptr::read_volatile(head.cast::<u16>()) }, head, len }
    }

    #[inline(always)]
    fn word(&self, offset: usize) -> u32 {
        unsafe { core::ptr::read_volatile(self.head.add(offset).cast::<u32>()) }
    }

    /// Writes an IP address and its port; false where it is none.
    #[inline(always)]
    pub fn write(&self, address: &mut [u8; 16], port: &mut u16) -> bool {
        let to = (&raw mut *address).cast::<u32>();
        let (from, words) = match self.family {
            AF_INET => (4, 1),
            AF_INET6 => (8, 4),
            _ => return false,
        };
        // What the caller did not pass must not be made up of what is in the record's memory.
        if self.len < (from + 4 * words) as u64 {
            return false;
        }
        let mut i = 0;
        while i < 4 {
            let value = if i < words { self.word(from + 4 * i) } else { 0 };
            unsafe { core::ptr::write_volatile(to.add(i), value) };
            i += 1;
        }
        *port = u16::from_be(unsafe { core::ptr::read_volatile(self.head.add(2).cast::<u16>()) });
        true
    }

    /// Appends the path of a Unix socket's address at `at`, of `len` bytes; returns the path's length.
    #[inline(always)]
    pub fn append_path(&self, record: &mut Record, exit: &Exit, at: u64, len: u64) -> u16 {
        let len = if len > UNIX_CAP { UNIX_CAP } else { len };
        if self.family == AF_UNIX && len > 2 { exit.append(record, at, 2, len - 2) } else { 0 }
    }
}
