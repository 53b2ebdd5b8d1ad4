//! Runs the tests from where only root puts programs, below no one.
//!
//! The rules take what is below a program of a shared directory for somebody's implant, and so would be right about
//! everything that these tests do, if the project was built in /tmp.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, ExitCode},
};

use nix::{sys::stat::Mode, unistd::mkfifo};

/// What the built-in rules take for shared.
const SHARED: &[&str] = &["/tmp", "/var/tmp", "/dev/shm", "/run/shm", "/run/lock"];

/// Runs all of it again from elsewhere, if this program lies in a shared directory; says how it ended.
pub fn run() -> Option<ExitCode> {
    let program = env::current_exe().unwrap();
    SHARED.iter().any(|place| program.starts_with(place)).then(|| run_copy_of(&program).unwrap())
}

fn run_copy_of(program: &Path) -> io::Result<ExitCode> {
    let place = tempfile::Builder::new().prefix("vedette-detections-").tempdir_in("/var/lib")?;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
    let (copy, ended) = (place.path().join("detections"), place.path().join("ended"));
    fs::copy(program, &copy)?;
    mkfifo(&ended, Mode::S_IRUSR | Mode::S_IWUSR)?;
    // The shell that waits for the copy is nobody's child, for the one that made it is gone.
    let script = "ended=$1; shift; (\"$@\"; echo $? > \"$ended\") &";
    let started = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .arg(&ended)
        .arg(&copy)
        .args(env::args_os().skip(1))
        .status()?;
    assert!(started.success(), "the copy has not been started");
    let code = fs::read_to_string(&ended)?;
    Ok(ExitCode::from(code.trim().parse::<u8>().unwrap_or(1)))
}
