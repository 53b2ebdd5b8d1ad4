//! What tests do to the host: this test program, started again as a small helper.
//!
//! `PROGRAM --act OPERATION ARGUMENT…`. Its name and place are chosen by the link through which it is started.

use std::{
    env::args_os,
    ffi::{CString, OsStr, OsString},
    fs::{File, OpenOptions},
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt, net::UnixStream, process::CommandExt},
    process::{Command, ExitCode},
    time::Duration,
};

use nix::{
    fcntl::{AtFlags, OFlag},
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
    let mut open = OpenOptions::new();
    match operation.to_str().unwrap_or_default() {
        "nothing" => Ok(()),
        "read" => open.read(true).open(first()?).map(drop),
        "write" => open.write(true).open(first()?).map(drop),
        "append" => open.append(true).create(true).open(first()?).map(drop),
        "create" => open.write(true).create_new(true).open(first()?)?.write_all(b"# made by a test\n"),
        "truncate" => open.write(true).truncate(true).open(first()?).map(drop),
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
        // NAME PROGRAM ARGUMENT…
        "exec-as" => Err(Command::new(rest.get(1).ok_or(io::ErrorKind::InvalidInput)?)
            .arg0(first()?)
            .args(&rest[2..])
            .exec()),
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
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn exec_descriptor(file: &File, argv: &[OsString]) -> io::Result<()> {
    let c_string = |s: &OsStr| CString::new(s.as_bytes()).map_err(io::Error::other);
    let argv = argv.iter().map(|a| c_string(a)).collect::<io::Result<Vec<_>>>()?;
    let Err(error) = execveat(file, c"", &argv, &[] as &[CString], AtFlags::AT_EMPTY_PATH);
    Err(error.into())
}
