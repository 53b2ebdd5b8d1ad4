//! Starting other programs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// A command without what `cargo run` put into our environment for ourselves.
///
/// A nested cargo would otherwise see variables that describe `xtask`, and a compiler that is not the
/// one `xtask` was built with would search that one's libraries first.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| text.starts_with(prefix));
        if ours || text == "CARGO_CRATE_NAME" || text == "OUT_DIR" {
            command.env_remove(&name);
        }
    }
    if let Some(paths) = env::var_os("LD_LIBRARY_PATH") {
        match without_rust_libraries(&paths) {
            Some(rest) => command.env("LD_LIBRARY_PATH", rest),
            None => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}

/// The cargo that started `xtask`.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// What is left of a library path without the entries that cargo adds: the target directory of the
/// running binary and the library directory of a rustup toolchain. `None` when nothing is.
fn without_rust_libraries(paths: &OsStr) -> Option<OsString> {
    let own = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let kept: Vec<PathBuf> = env::split_paths(paths)
        .filter(|path| {
            let text = path.to_string_lossy();
            let from_target = own.as_ref().is_some_and(|own| path.starts_with(own));
            !(path.as_os_str().is_empty() || from_target || text.contains("/toolchains/"))
        })
        .collect();
    if kept.is_empty() { None } else { env::join_paths(kept).ok() }
}

/// Runs a command that talks to the terminal itself.
///
/// # Errors
/// When it cannot be started or ends with anything but 0.
pub fn run(command: &mut Command) -> Result<()> {
    let name = program_name(command);
    let status = command.status().with_context(|| format!("start {name}"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns what it wrote to stdout.
///
/// # Errors
/// When it cannot be started or ends with anything but 0; then with the last line of its stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let name = program_name(command);
    let output = capture(command)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}): {}", output.status, stderr.trim().lines().last().unwrap_or("no message"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command with its output captured, whatever its exit code.
///
/// # Errors
/// When it cannot be started.
pub fn capture(command: &mut Command) -> Result<Output> {
    let name = program_name(command);
    command.stdin(Stdio::null()).output().with_context(|| format!("start {name}"))
}

/// The file of that name in `PATH`, if there is one.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this is a CI run, where nothing may be left out.
pub fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// `sudo`, if it can be used: without a password, or with a terminal to ask for one.
pub fn sudo() -> Option<Command> {
    find_in_path("sudo")?;
    let free = capture(command("sudo").args(["-n", "true"])).is_ok_and(|output| output.status.success());
    (free || io::stdin().is_terminal()).then(|| command("sudo"))
}

fn program_name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rust_library_directories_are_dropped() {
        let paths = OsStr::new("/opt/lib:/root/.rustup/toolchains/stable/lib:/usr/local/lib");
        assert_eq!(without_rust_libraries(paths), Some("/opt/lib:/usr/local/lib".into()));
        assert_eq!(without_rust_libraries(OsStr::new("/home/x/.rustup/toolchains/stable/lib")), None);
    }

    #[test]
    fn a_failing_command_reports_its_last_line() {
        let error =
            output(Command::new("sh").args(["-c", "echo one >&2; echo two >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh failed") && text.ends_with("two"), "{text}");
    }
}
