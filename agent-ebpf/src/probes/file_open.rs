//! A file was opened: `open`, `creat`, `openat`, `openat2`, `open_by_handle_at`.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use vedette_abi::{Call, FileOpen, Header, Kind, ProbeError, filter_flags, may_change, path_flags};

use super::syscall::Exit;
use crate::{
    emit, filter,
    kernel::Task,
    names,
    path::{self, Place, Seen},
    record::Record,
};

/// Where the path is in the record.
const PATH_AT: u64 = (size_of::<Header>() + size_of::<FileOpen>()) as u64;
/// Of such a path not all names are known.
const IN_DOUBT: u32 = path_flags::UNREADABLE | path_flags::CUT | path_flags::PSEUDO | path_flags::UNREACHABLE;
const AT_FDCWD: i32 = -100;
/// `O_WRONLY | O_CREAT | O_TRUNC`, which is what `creat` means.
const CREAT_FLAGS: u32 = 0o1 | 0o100 | 0o1000;

/// Runs at the exit of the call, by tail call from `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
pub fn file_open(ctx: BtfTracePointContext) -> i32 {
    let Some(exit) = Exit::of(&ctx) else { return 0 };
    if exit.ret < 0 && !filter::flag(filter_flags::FAILED_OPENS) {
        emit::filtered(Kind::FileOpen);
        return 0;
    }
    if !filter::wants(Kind::FileOpen, exit.task) {
        return 0;
    }
    note!(&ctx, "file_open: pid {} call {} returned {}", exit.task.tgid(), exit.call, exit.ret);
    let Some(mut record) = Record::new::<FileOpen>() else {
        emit::failed(Kind::FileOpen, ProbeError::NoScratch);
        return 0;
    };
    if !fill(&exit, &mut record) {
        emit::filtered(Kind::FileOpen);
        return 0;
    }
    emit::emit(Kind::FileOpen, exit.call, exit.flags(), exit.task, record);
    0
}

/// Fills the body of a [`FileOpen`], and appends its strings. Returns whether some rule can be about a file of these names.
#[inline(always)]
pub fn fill(exit: &Exit, record: &mut Record) -> bool {
    let body = record.body::<FileOpen>();
    body.ret = exit.ret;
    let [a, b, c, d, ..] = exit.args;
    let raw;
    if exit.call == Call::Open as u8 {
        (body.dirfd, raw, body.flags, body.mode) = (AT_FDCWD, a, b as u32, c as u32);
    } else if exit.call == Call::Creat as u8 {
        (body.dirfd, raw, body.flags, body.mode) = (AT_FDCWD, a, CREAT_FLAGS, b as u32);
    } else if exit.call == Call::Openat as u8 {
        (body.dirfd, raw, body.flags, body.mode) = (a as i32, b, c as u32, d as u32);
    } else if exit.call == Call::OpenByHandleAt as u8 {
        // The descriptor names a mount, and the handle is no path.
        (body.dirfd, raw, body.flags) = (a as i32, 0, c as u32);
    } else {
        // struct open_how: flags, mode, resolve, 64 bits each.
        let mut how = [0u64; 3];
        exit.read((&raw mut how).cast(), 24, c);
        (body.dirfd, raw, body.flags, body.mode) = (a as i32, b, how[0] as u32, how[1] as u32);
        body.resolve = how[2] as u32;
    }
    // Who opens is asked first: that needs no path.
    names::begin(filter::names_of_opens(may_change(body.flags), exit.task));
    names::look_at_program(exit.task);
    let (mut root, mut base_of_path) = (Place::NONE, Place::NONE);
    if !exit.is_elsewhere() {
        let fs = exit.task.fs();
        root = Place { dentry: fs.root_dentry(), mount: fs.root_mnt().mount() };
        base_of_path = base(exit.task, body.dirfd);
    }
    let mut seen = None;
    if exit.ret >= 0 {
        let file = exit.returned_file();
        if file.is_null() {
            // Closed by another thread already: what was passed still tells something.
            body.inode.path_flags = path_flags::UNREADABLE;
        } else {
            let sb = file.inode().facts(&mut body.inode);
            body.f_mode = file.f_mode();
            let place = Place { dentry: file.dentry(), mount: file.mnt().mount() };
            let top = place.mount.root();
            let walked = path::append_marked(record, place, top, root, base_of_path);
            body.path_len = walked.len;
            body.inode.path_flags |= walked.flags | place.dentry.deleted_flag();
            seen = Some(Seen { place, top, sb, magic: body.inode.magic, walked, at: PATH_AT });
        }
    }
    let mut begin = root;
    if raw != 0 {
        let at = record.len();
        let mut is_absolute = false;
        match exit.append_str(record, 0, raw) {
            Some(len) => {
                body.raw_len = len;
                is_absolute = record.byte_at(at) == b'/';
                names::look_in(record, at, u64::from(len), PATH_AT, u64::from(body.path_len));
            }
            None => body.inode.path_flags |= path_flags::UNREADABLE,
        }
        if let Some(seen) = &seen {
            body.base_end = if is_absolute { seen.walked.root_end } else { seen.walked.base_end };
        }
        if !is_absolute {
            begin = base_of_path;
        }
        if body.base_end == 0 && !begin.dentry.is_null() {
            let len = path::append(record, begin.dentry, begin.mount).0;
            body.cwd_len = len;
            if is_absolute && len <= 1 {
                // The plain root: nothing to tell.
                record.take_back(u64::from(len));
                body.cwd_len = 0;
            }
        }
        if is_absolute && (body.base_end > 1 || body.cwd_len != 0) {
            body.inode.path_flags |= path_flags::CHROOTED;
        }
    }
    if let Some(seen) = &seen {
        body.alias_len = path::append_aliases(record, seen, exit.task);
    }
    let is_wanted = names::found() || body.inode.path_flags & IN_DOUBT != 0;
    names::begin(0);
    is_wanted
}

/// Where a relative path begins.
#[inline(always)]
fn base(task: Task, dirfd: i32) -> Place {
    if dirfd < 0 {
        let fs = task.fs();
        return Place { dentry: fs.pwd_dentry(), mount: fs.pwd_mnt().mount() };
    }
    let file = task.files().file(dirfd as u32);
    if file.is_null() { Place::NONE } else { Place { dentry: file.dentry(), mount: file.mnt().mount() } }
}
