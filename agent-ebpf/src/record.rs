//! A record under construction in this CPU's buffer.
//!
//! Programs run with preemption off, so one buffer per CPU is enough. The task iterator can be preempted and
//! does not use it.

use aya_ebpf::helpers::{
    bpf_get_smp_processor_id,
    generated::{bpf_probe_read_kernel, bpf_probe_read_user, bpf_probe_read_user_str},
};
use vedette_abi::{Header, RECORD_CAP};

use crate::maps::{RECORDS, RecordBuf};

/// Mask of a write offset: below [`RECORD_CAP`], so that offset + longest string stays in the buffer.
const OFFSET_MASK: u64 = RECORD_CAP as u64 - 1;

/// Bytes of the fixed part that is cleared before it is filled.
const HEADER: usize = size_of::<Header>();

/// `value & MASK`, kept by the compiler even where it believes the mask to be superfluous: the verifier
/// needs to see it.
#[inline(always)]
pub fn masked<const MASK: i32>(mut value: u64) -> u64 {
    unsafe { core::arch::asm!("{0} &= {1}", inout(reg) value, const MASK, options(pure, nomem, nostack)) };
    value
}

/// The buffer. How much of it is filled is in its header, not in a register: the verifier would follow each length
/// that each string may have, on every way through a program.
pub struct Record {
    base: *mut u8,
}

impl Record {
    /// This CPU's buffer with a cleared header and a cleared body `B`.
    #[inline(always)]
    pub fn new<B>() -> Option<Self> {
        let base =
            RECORDS.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })?.cast::<RecordBuf>().cast::<u8>();
        unsafe { core::ptr::write_bytes(base.cast::<u64>(), 0, (HEADER + size_of::<B>()) / 8) };
        let record = Self { base };
        record.set_len((HEADER + size_of::<B>()) as u64);
        Some(record)
    }

    /// This CPU's buffer as it is, in a callback of the program that began it.
    #[inline(always)]
    pub fn resume() -> Option<Self> {
        let base = RECORDS.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })?;
        Some(Self { base: base.cast::<RecordBuf>().cast::<u8>() })
    }

    /// The header.
    #[inline(always)]
    pub fn header(&mut self) -> &mut Header {
        unsafe { &mut *self.base.cast::<Header>() }
    }

    /// The fixed body. `B` is the type given to [`Record::new`].
    #[inline(always)]
    pub fn body<'a, B>(&self) -> &'a mut B {
        unsafe { &mut *self.base.add(HEADER).cast::<B>() }
    }

    /// Begin of the buffer.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base
    }

    /// Bytes filled.
    #[inline(always)]
    pub fn len(&self) -> u64 {
        u64::from(unsafe { core::ptr::read_volatile(&raw const (*self.base.cast::<Header>()).len) })
    }

    #[inline(always)]
    fn set_len(&self, len: u64) {
        unsafe { core::ptr::write_volatile(&raw mut (*self.base.cast::<Header>()).len, len as u32) };
    }

    /// A byte that was written.
    #[inline(always)]
    pub fn byte_at(&self, offset: u64) -> u8 {
        unsafe { core::ptr::read_volatile(self.base.add(masked::<{ OFFSET_MASK as i32 }>(offset) as usize)) }
    }

    /// Takes off what was appended after a [`Self::len`] of before.
    #[inline(always)]
    pub fn truncate(&mut self, len: u64) {
        self.set_len(len);
    }

    /// Whether these bytes were written there.
    #[inline(always)]
    pub fn has_at(&self, offset: u64, bytes: &[u8]) -> bool {
        let mut i = 0;
        while i < bytes.len() {
            if self.byte_at(offset + i as u64) != unsafe { *bytes.as_ptr().add(i) } {
                return false;
            }
            i += 1;
        }
        true
    }

    #[inline(always)]
    fn end(&self) -> *mut u8 {
        unsafe { self.base.add(masked::<{ OFFSET_MASK as i32 }>(self.len()) as usize) }
    }

    /// Appends at most 8191 bytes of kernel memory; returns how many.
    #[inline(always)]
    pub fn append_kernel(&mut self, from: *const u8, bytes: u64) -> u16 {
        let bytes = masked::<0x1fff>(bytes);
        let read = unsafe { bpf_probe_read_kernel(self.end().cast(), bytes as u32, from.cast()) };
        if read != 0 {
            return 0;
        }
        self.set_len(self.len() + bytes);
        bytes as u16
    }

    /// Appends a kernel string of at most 4095 bytes, without its end mark; returns how many.
    #[inline(always)]
    pub fn append_kernel_str(&mut self, from: *const u8) -> u16 {
        let read = unsafe {
            aya_ebpf::helpers::generated::bpf_probe_read_kernel_str(self.end().cast(), 4096, from.cast())
        };
        self.take_str(read)
    }

    /// Appends a string of the current process of at most 4095 bytes; returns how many, or nothing where it
    /// cannot be read (a page that is not in memory, an address that is none).
    #[inline(always)]
    pub fn append_user_str(&mut self, from: *const u8) -> Option<u16> {
        let read = unsafe { bpf_probe_read_user_str(self.end().cast(), 4096, from.cast()) };
        if read <= 0 { None } else { Some(self.take_str(read)) }
    }

    #[inline(always)]
    fn take_str(&mut self, read: i64) -> u16 {
        if read <= 1 {
            return 0;
        }
        let bytes = masked::<0xfff>(read as u64 - 1);
        self.set_len(self.len() + bytes);
        bytes as u16
    }

    /// Takes the last bytes off again.
    #[inline(always)]
    pub fn take_back(&mut self, bytes: u64) {
        self.set_len(self.len() - bytes);
    }

    /// Appends at most 8191 bytes of the current process; a page that is not in memory ends it early. Returns
    /// how many.
    #[inline(always)]
    pub fn append_user(&mut self, from: u64, bytes: u64) -> u16 {
        let bytes = masked::<0x1fff>(bytes);
        let read = unsafe { bpf_probe_read_user(self.end().cast(), bytes as u32, from as *const _) };
        if read != 0 {
            return 0;
        }
        self.set_len(self.len() + bytes);
        bytes as u16
    }
}
