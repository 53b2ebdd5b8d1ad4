//! Typed access to kernel structures: one file per family of structures, and nowhere else.
//!
//! Offsets are globals that user space fills from BTF. Two ways of reading exist. A *direct* read is a plain
//! load through a pointer whose type the verifier knows; it is the cheapest, and a bad pointer reads as zero.
//! A *probed* read goes through a helper and works for pointers that the verifier knows nothing about.

use aya_ebpf::{Global, helpers::generated::bpf_probe_read_kernel};
use vedette_abi::{ABSENT, kernel_fields};

mod binprm;
mod cgroup;
mod cred;
mod file;
mod io_uring;
mod mount;
mod namespace;
mod overlay;
mod pid;
mod pt_regs;
mod sock;
mod task;
mod tty;

pub use binprm::Binprm;
pub use cgroup::Cgroup;
pub use file::{Dentry, File, SuperBlock};
pub use io_uring::{Filename, Request, Ring};
pub use mount::{Mount, newest_first};
pub use pt_regs::Regs;
pub use sock::Socket;
pub use task::{PidType, Task};

macro_rules! offsets {
    ($($symbol:ident: $of:literal, [$($path:literal),+], $size:literal, $need:ident;)*) => {$(
        #[doc = concat!("Offset in `struct ", $of, "`.")]
        #[unsafe(no_mangle)]
        pub static $symbol: Global<u32> = Global::new(ABSENT);
    )*};
}
kernel_fields!(offsets);

/// Loads a field through a pointer whose type the verifier knows; zero where the kernel has no such field.
#[inline(always)]
fn direct<T: Copy + Default>(base: *const u8, offset: &Global<u32>) -> T {
    match offset.load() {
        ABSENT => T::default(),
        offset => unsafe { core::ptr::read_volatile(base.byte_add(offset as usize).cast::<T>()) },
    }
}

/// [`direct`], for a pointer that comes from an optional field: it is null where the kernel has no such field, and the
/// verifier lets nobody load through a constant.
#[inline(always)]
fn guarded<T: Copy + Default>(base: *const u8, offset: &Global<u32>) -> T {
    if base.is_null() { T::default() } else { direct(base, offset) }
}

/// Reads a field through a helper; zero where that fails or the kernel has no such field.
#[inline(always)]
fn probed<T: Copy + Default>(base: *const u8, offset: &Global<u32>) -> T {
    let offset = offset.load();
    let mut value = T::default();
    if offset != ABSENT && !base.is_null() {
        let from = base.wrapping_byte_add(offset as usize);
        if unsafe { bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, from.cast()) } != 0
        {
            return T::default();
        }
    }
    value
}

/// A pointer as the accessors pass it around: `Default` is null.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Ptr(*const u8);

impl Default for Ptr {
    fn default() -> Self {
        Self(core::ptr::null())
    }
}

/// Declares accessors: `kfields!(direct Task { tgid: u32 = TASK_TGID; cred -> Cred = TASK_CRED; });`
macro_rules! kfields {
    ($how:ident $ty:ident { $($rest:tt)* }) => {
        impl $ty { crate::kernel::kfields!(@ $how $($rest)*); }
    };
    (@ $how:ident) => {};
    (@ $how:ident $(#[$m:meta])* $name:ident: $ret:ty = $symbol:ident; $($rest:tt)*) => {
        $(#[$m])*
        #[inline(always)]
        pub fn $name(self) -> $ret { crate::kernel::$how(self.0, &crate::kernel::$symbol) }
        crate::kernel::kfields!(@ $how $($rest)*);
    };
    (@ $how:ident $(#[$m:meta])* $name:ident -> $ret:ident = $symbol:ident; $($rest:tt)*) => {
        $(#[$m])*
        #[inline(always)]
        pub fn $name(self) -> $ret {
            $ret(crate::kernel::$how::<crate::kernel::Ptr>(self.0, &crate::kernel::$symbol).0)
        }
        crate::kernel::kfields!(@ $how $($rest)*);
    };
}

/// Declares a pointer type.
macro_rules! kstruct {
    ($(#[$m:meta])* $name:ident) => {
        $(#[$m])*
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub struct $name(pub(in crate::kernel) *const u8);

        impl $name {
            /// Whether there is nothing behind it.
            #[inline(always)]
            #[allow(dead_code, reason = "part of what every pointer type offers")]
            pub fn is_null(self) -> bool { self.0.is_null() }

            /// Takes a pointer from a hook's arguments or a helper.
            #[inline(always)]
            #[allow(dead_code, reason = "part of what every pointer type offers")]
            pub const fn from_ptr(ptr: *const u8) -> Self { Self(ptr) }
        }
    };
}
use {kfields, kstruct};
