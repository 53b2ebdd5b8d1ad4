//! The 32-bit entry of the kernel, which any 64-bit process may take: numbers and registers of i386.

#![allow(unsafe_code, reason = "there is no library for system calls of another instruction set")]

use std::{arch::asm, ffi::CStr, num::NonZero, os::raw::c_void, ptr::NonNull};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// Calls the kernel by `int 0x80`. The result is negative for an error.
pub fn call(number: u32, args: &[u32]) -> i32 {
    let mut all = [0u32; 6];
    all[..args.len()].copy_from_slice(args);
    let [b, c, d, si, di, bp] = all.map(u64::from);
    let result: u64;
    // SAFETY: the entry keeps all registers but the named ones; what the arguments point to is kept by `Low`, which
    // outlives the call. The compiler keeps rbx and rbp for itself, so they are put back.
    unsafe {
        asm!(
            "push rbp",
            "mov rbp, {bp}",
            "xchg rbx, {b}",
            "int 0x80",
            "xchg rbx, {b}",
            "pop rbp",
            bp = in(reg) bp,
            b = inout(reg) b => _,
            inlateout("rax") u64::from(number) => result,
            in("rcx") c,
            in("rdx") d,
            in("rsi") si,
            in("rdi") di,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
        );
    }
    result as i32
}

/// Calls the kernel by the native entry with any number.
pub fn native(number: i64, args: [u64; 4]) -> i64 {
    // SAFETY: the callers pass numbers, or addresses of `Low`, which outlives the call.
    unsafe { nix::libc::syscall(number, args[0], args[1], args[2], args[3]) }
}

/// Memory that 32-bit calls can be pointed to.
pub struct Low {
    at: NonNull<c_void>,
    used: usize,
}

const SIZE: usize = 0x10000;

impl Low {
    /// Below 4 GiB, for as long as the process lives.
    pub fn new() -> Self {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_32BIT;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: new memory, which nobody else knows of.
        let at = unsafe { mmap_anonymous(None, NonZero::new(SIZE).unwrap(), protection, flags) }.unwrap();
        Self { at, used: 0 }
    }

    /// Puts bytes there, and returns their address.
    pub fn put(&mut self, bytes: &[u8]) -> u32 {
        assert!(self.used + bytes.len() <= SIZE);
        // SAFETY: inside the mapping, as was just checked.
        let to = unsafe { self.at.as_ptr().cast::<u8>().add(self.used) };
        // SAFETY: the same, and the bytes are elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        self.used += bytes.len().next_multiple_of(8);
        u32::try_from(to as usize).unwrap()
    }

    /// Puts a string there.
    pub fn string(&mut self, text: &CStr) -> u32 {
        self.put(text.to_bytes_with_nul())
    }
}
