//! Does a file have a name that some rule asks for? Looked for in each directory and file name of each path under which
//! the rules would be held against an open, so that what no rule is about ends here.
//!
//! Where a path cannot be told in full the answer is yes.

use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::c_void;
use vedette_abi::{NAME_WORDS, name_bit, name_kind};

use crate::{
    kernel::Task,
    maps::NAMES,
    path::this_cpu,
    record::{Record, masked},
};

/// Mask of an offset in the record.
const OFFSET: i32 = vedette_abi::RECORD_CAP as i32 - 1;

/// What is looked for, and what was found. In a map, like a walk, and for the same reason.
#[repr(C)]
pub struct Look {
    /// The set, counted from 1; 0 = nothing is looked for.
    set: u64,
    /// Not 0 where a name was found.
    found: u64,
    /// A text in the record: where the next byte is, where its current name began, and where it ends.
    at: u64,
    start: u64,
    end: u64,
    /// The text that it is compared with.
    other: u64,
    /// Not 0 where they differ.
    differs: u64,
}

/// The eight bytes at an address, wherever it is.
#[inline(always)]
unsafe fn eight_bytes(from: *const u8) -> u64 {
    let value: u64;
    // A load of Rust's would need an alignment, or go byte by byte.
    unsafe {
        core::arch::asm!("{0} = *(u64 *)({1} + 0)", out(reg) value, in(reg) from, options(pure, readonly, nostack))
    };
    value
}

/// Whether a bit of the set is on.
#[inline(always)]
fn has(look: &Look, kind: u64, bytes: u64, len: u64) -> bool {
    // A set that cannot be read keeps.
    let Some(set) = NAMES.get_ptr((look.set as u32).wrapping_sub(1)) else { return true };
    let bit = u64::from(name_bit(kind, bytes, len));
    let word = masked::<{ NAME_WORDS as i32 - 1 }>(bit >> 6);
    let bits = unsafe { core::ptr::read_volatile((&raw const (*set).bits).cast::<u64>().add(word as usize)) };
    bits >> (bit & 63) & 1 != 0
}

/// Holds a name against the set. Four bytes before it have to be readable.
#[inline(always)]
pub fn look(look: &mut Look, name: *const u8, len: u64) {
    if look.set == 0 || look.found != 0 || len == 0 {
        return;
    }
    let bytes = unsafe { eight_bytes(name) };
    let found = has(look, name_kind::WHOLE, bytes, len)
        || len >= name_kind::PREFIX && has(look, name_kind::BEGINS, bytes, name_kind::PREFIX)
        || len >= name_kind::SUFFIX && {
            // The last of 255 bytes is the 254th.
            let at = masked::<0xff>(len - name_kind::SUFFIX) as usize;
            has(look, name_kind::ENDS, unsafe { eight_bytes(name.add(at)) }, name_kind::SUFFIX)
        }
        || len >= name_kind::LONG_SUFFIX && {
            let at = masked::<0xff>(len - name_kind::LONG_SUFFIX) as usize;
            has(look, name_kind::ENDS_LONG, unsafe { eight_bytes(name.add(at)) }, name_kind::LONG_SUFFIX)
        };
    if found {
        look.found = 1;
    }
}

/// Holds the name of a program's file against the set.
#[inline(always)]
pub fn look_at_program(task: Task) {
    let Some(buf) = this_cpu() else { return };
    let look = unsafe { &mut (*buf).look };
    if look.set == 0 || look.found != 0 {
        return;
    }
    let exe = task.mm().exe_file();
    if exe.is_null() {
        look.found = 1;
        return;
    }
    let dentry = exe.dentry();
    let (bytes, len) = (u64::from_le_bytes(dentry.first_bytes()), u64::from(dentry.name_len()));
    if has(look, name_kind::PROGRAM, bytes, len)
        || has(look, name_kind::PROGRAM_BEGINS, bytes, name_kind::PREFIX)
    {
        look.found = 1;
    }
}

/// Begins a look for the names of a set; 0 ends it.
#[inline(always)]
pub fn begin(set: u64) {
    if let Some(buf) = this_cpu() {
        unsafe {
            (*buf).look.set = set;
            (*buf).look.found = 0;
        }
    }
}

/// Keeps the event.
#[inline(always)]
pub fn take_for_found() {
    if let Some(buf) = this_cpu() {
        unsafe { (*buf).look.found = 1 };
    }
}

/// Whether a name was found, or nothing was looked for.
#[inline(always)]
pub fn found() -> bool {
    let Some(buf) = this_cpu() else { return true };
    let look = unsafe { &raw const (*buf).look };
    unsafe {
        core::ptr::read_volatile(&raw const (*look).set) == 0
            || core::ptr::read_volatile(&raw const (*look).found) != 0
    }
}

/// Looks in a text of the record, `len` bytes from `at`. `path` is a text that was looked through already, `path_len` bytes
/// from there: what ends it need not be looked through again.
#[inline(always)]
pub fn look_in(record: &Record, at: u64, len: u64, path: u64, path_len: u64) {
    if found() {
        return;
    }
    let Some(buf) = this_cpu() else { return };
    let look = unsafe { &mut (*buf).look };
    look.at = at;
    look.start = at;
    look.end = at + len;
    let begins_a_name = |at: u64| record.byte_at(at) == b'/';
    if len != 0
        && (len == path_len && begins_a_name(path)
            || len < path_len && (begins_a_name(at) || begins_a_name(path + path_len - len - 1)))
    {
        look.other = path + path_len - len;
        look.differs = 0;
        unsafe { bpf_loop(512, compare as *mut c_void, core::ptr::null_mut(), 0) };
        if unsafe { core::ptr::read_volatile(&raw const look.differs) } == 0 {
            return;
        }
        look.at = at;
    }
    unsafe { bpf_loop(4097, scan as *mut c_void, core::ptr::null_mut(), 0) };
}

/// Compares eight bytes of both texts. Returns 1 to stop.
unsafe extern "C" fn compare(_index: u64, _context: *mut c_void) -> i64 {
    let (Some(buf), Some(record)) = (this_cpu(), Record::resume()) else { return 1 };
    let look = unsafe { &mut (*buf).look };
    let left = look.end.wrapping_sub(look.at);
    let base = record.as_ptr();
    let (mine, other) = unsafe {
        (
            eight_bytes(base.add(masked::<OFFSET>(look.at) as usize)),
            eight_bytes(base.add(masked::<OFFSET>(look.other) as usize)),
        )
    };
    let mask = if left >= 8 { u64::MAX } else { (1 << (left * 8)) - 1 };
    if (mine ^ other) & mask != 0 {
        look.differs = 1;
        return 1;
    }
    look.at += 8;
    look.other += 8;
    i64::from(left <= 8)
}

/// Takes a byte of the text. Returns 1 to stop.
unsafe extern "C" fn scan(_index: u64, _context: *mut c_void) -> i64 {
    let (Some(buf), Some(record)) = (this_cpu(), Record::resume()) else { return 1 };
    let look = unsafe { &mut (*buf).look };
    let at = look.at;
    let ended = at >= look.end;
    if ended || record.byte_at(at) == b'/' {
        let start = look.start;
        let name = unsafe { record.as_ptr().add(masked::<OFFSET>(start) as usize) };
        self::look(look, name, at.wrapping_sub(start));
        look.start = at + 1;
    }
    look.at = at + 1;
    i64::from(ended || look.found != 0)
}
