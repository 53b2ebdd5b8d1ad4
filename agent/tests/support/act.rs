//! What tests do to the host: this test program, started again as a small helper.
//!
//! `PROGRAM --act OPERATION ARGUMENT…`. Its name and place are chosen by the link through which it is started. What an
//! operation finds out that the test cannot know (a port, an error), it writes to standard output.

// Each test target is a crate of its own, and none uses everything.
#![allow(dead_code, reason = "shared by test targets")]

#[path = "act/net.rs"]
mod net;
#[path = "act/trace.rs"]
mod trace;

use std::{
    env::args_os,
    ffi::{CString, OsStr, OsString},
    fs::{File, OpenOptions},
    io::{self, BufRead, Write},
    net::{SocketAddr, TcpStream},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt, net::UnixStream, process::CommandExt},
    process::{Command, ExitCode},
    time::Duration,
};

use nix::{
    fcntl::{AT_FDCWD, AtFlags, OFlag},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::execveat,
};

/// The argument that makes a helper of this program.
pub const FLAG: &str = "--act";

/// Does what the command line asks for, if it asks for something.
pub fn requested() -> Option<ExitCode> {
    let mut args = args_os().skip(1).skip_while(|arg| arg != FLAG);
    args.next()?;
    let args: Vec<OsString> = args.collect();
    Some(match perform(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{args:?}: {error}");
            ExitCode::FAILURE
        }
    })
}

fn perform(args: &[OsString]) -> io::Result<()> {
    let (operation, rest) = args.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let first = || rest.first().ok_or(io::ErrorKind::InvalidInput);
    let second = || rest.get(1).ok_or(io::ErrorKind::InvalidInput);
    let mut open = OpenOptions::new();
    match operation.to_str().unwrap_or_default() {
        "nothing" => Ok(()),
        "read" => open.read(true).open(first()?).map(drop),
        "write" => open.write(true).open(first()?).map(drop),
        "append" => open.append(true).create(true).open(first()?).map(drop),
        "create" => open.write(true).create_new(true).open(first()?)?.write_all(b"# made by a test\n"),
        "truncate" => open.write(true).truncate(true).open(first()?).map(drop),
        // One file for each line on standard input, and a line back for each.
        "serve" => io::stdin().lines().try_for_each(|path| {
            File::open(path?)?;
            writeln!(io::stdout(), "read")
        }),
        "tell-pid" => {
            writeln!(io::stdout(), "{}", std::process::id())?;
            io::stdin().lock().read_until(0, &mut Vec::new()).map(drop)
        }
        // Until standard input ends.
        "wait" => io::stdin().lock().read_until(0, &mut Vec::new()).map(drop),
        "copy" => std::fs::copy(first()?, second()?).map(drop),
        "symlink" => std::os::unix::fs::symlink(first()?, second()?),
        "symlinkat" => Ok(nix::unistd::symlinkat(first()?.as_os_str(), AT_FDCWD, second()?.as_os_str())?),
        "link" => std::fs::hard_link(first()?, second()?),
        // What comes of it depends on the kernel.
        "load-module" => {
            let loaded =
                nix::kmod::finit_module(File::open(first()?)?, c"", nix::kmod::ModuleInitFlags::empty());
            writeln!(io::stdout(), "{}", loaded.err().map_or("0".into(), |error| format!("{error:?}")))
        }
        "load-module-image" => {
            let loaded = nix::kmod::init_module(&std::fs::read(first()?)?, c"");
            writeln!(io::stdout(), "{}", loaded.err().map_or("0".into(), |error| format!("{error:?}")))
        }
        // Whether anybody answers does not matter.
        "connect" => {
            let address: SocketAddr =
                first()?.to_str().unwrap_or_default().parse().map_err(io::Error::other)?;
            let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
            Ok(())
        }
        "connect-unix" => UnixStream::connect(first()?).map(drop),
        "run" => {
            let status = Command::new(first()?).args(&rest[1..]).status()?;
            if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
        }
        // UID PROGRAM ARGUMENT…
        "exec-user" => {
            let user =
                first()?.to_str().and_then(|uid| uid.parse().ok()).ok_or(io::ErrorKind::InvalidInput)?;
            Err(Command::new(second()?).args(&rest[2..]).uid(user).gid(user).exec())
        }
        // NAME PROGRAM ARGUMENT…
        "exec-as" => Err(Command::new(second()?).arg0(first()?).args(&rest[2..]).exec()),
        // FILE ARGUMENT…: from memory
        "exec-memfd" => {
            let mut memory = File::from(memfd_create("vedette-test", MFdFlags::MFD_CLOEXEC)?);
            io::copy(&mut File::open(first()?)?, &mut memory)?;
            exec_descriptor(&memory, rest)
        }
        // FILE ARGUMENT…: through a descriptor
        "exec-fd" => {
            let file = open.read(true).custom_flags(OFlag::O_CLOEXEC.bits()).open(first()?)?;
            exec_descriptor(&file, rest)
        }
        // FILE ARGUMENT…: unlinked before it runs
        "exec-deleted" => {
            let file = File::open(first()?)?;
            std::fs::remove_file(first()?)?;
            exec_descriptor(&file, rest)
        }
        name => {
            let text: Vec<&str> = rest.iter().filter_map(|arg| arg.to_str()).collect();
            net::perform(name, &text)
                .or_else(|| trace::perform(name))
                .unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()))
        }
    }
}

fn exec_descriptor(file: &File, argv: &[OsString]) -> io::Result<()> {
    let c_string = |s: &OsStr| CString::new(s.as_bytes()).map_err(io::Error::other);
    let argv = argv.iter().map(|a| c_string(a)).collect::<io::Result<Vec<_>>>()?;
    let Err(error) = execveat(file, c"", &argv, &[] as &[CString], AtFlags::AT_EMPTY_PATH);
    Err(error.into())
}
