//! Packages of Debian and its relatives.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, anyhow, bail};

use super::Consent;
use crate::exec;
use crate::workspace::parse_version;

/// Whether packages can be installed here this way.
pub fn available() -> bool {
    exec::find_in_path("apt-get").is_some() && exec::find_in_path("dpkg-query").is_some()
}

/// Why nothing can be installed, in half a sentence: for want of root's rights.
pub fn obstacle() -> Option<String> {
    let able = exec::is_root() || exec::sudo().is_some();
    (!able).then(|| "installing packages needs root or sudo".to_owned())
}

/// The version that would be installed, as (major, minor). If the package is unknown or too old, root
/// fetches the package lists once; nobody is asked for a password only to look.
///
/// # Errors
/// When the package lists have to be fetched and cannot be.
pub fn candidate(package: &str, minimum: (u32, u32)) -> Result<Option<(u32, u32)>> {
    let known = known_candidate(package)?;
    if known.is_some_and(|version| version >= minimum) || !exec::is_root() {
        return Ok(known);
    }
    update(&format!("to look for {package}"))?;
    known_candidate(package)
}

/// Installs packages, after saying so.
///
/// # Errors
/// When there are no root rights to be had, or the installation fails.
pub fn install(packages: &[&str], why: &str, consent: Consent) -> Result<()> {
    consent.announce(&format!("installing {} (Debian packages; {why})", packages.join(", ")))?;
    // Removing a package to make room for ours would be a surprise: --no-remove makes it an error instead.
    let mut arguments = vec!["apt-get", "install", "-y", "-q", "--no-install-recommends", "--no-remove"];
    arguments.extend(packages);
    let attempt = || exec::run(&mut as_root(&arguments)?);
    if attempt().is_ok() {
        return Ok(());
    }
    // Old lists name files that the mirror has replaced since.
    update("the installation failed, perhaps because they are old")?;
    attempt()
        .map_err(|error| anyhow!("{error}; to see to it by hand: apt-get install {}", packages.join(" ")))
}

/// Fetches the files of packages into a directory, without installing them.
///
/// # Errors
/// When they cannot be fetched.
pub fn download(packages: &[&str], directory: &Path) -> Result<()> {
    let attempt = || {
        let mut command = exec::command("apt-get");
        // The user whom apt becomes otherwise may not write into everybody's cache.
        command.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).args(packages);
        exec::run(command.current_dir(directory))
    };
    if attempt().is_ok() {
        return Ok(());
    }
    update("the download failed, perhaps because they are old")?;
    attempt()
        .map_err(|error| anyhow!("{error}; to see to it by hand: apt-get install {}", packages.join(" ")))
}

fn update(why: &str) -> Result<()> {
    eprintln!("setup: fetching the package lists (apt-get update), {why}");
    exec::run(&mut as_root(&["apt-get", "update", "-q"])?)
}

/// A command that runs with root's rights: directly, or through sudo.
fn as_root(arguments: &[&str]) -> Result<Command> {
    let mut command = if exec::is_root() {
        exec::command("env")
    } else if let Some(mut sudo) = exec::sudo() {
        sudo.arg("env");
        sudo
    } else {
        bail!(
            "this needs root, and sudo is not available. Run as root, then try again: {}",
            arguments.join(" ")
        )
    };
    command.arg("DEBIAN_FRONTEND=noninteractive").args(arguments);
    Ok(command)
}

fn known_candidate(package: &str) -> Result<Option<(u32, u32)>> {
    let policy = exec::output(exec::command("apt-cache").env("LC_ALL", "C").args(["policy", package]))?;
    Ok(parse_candidate(&policy))
}

/// The version in the `Candidate:` line of `apt-cache policy`, without its epoch.
fn parse_candidate(policy: &str) -> Option<(u32, u32)> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?.trim();
    let upstream = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    parse_version(upstream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_read_from_apt_policy() {
        let policy =
            "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n";
        assert_eq!(parse_candidate(policy), Some((1, 96)));
        assert_eq!(parse_candidate("x:\n  Candidate: 1:22.1.8-1~deb12u1\n"), Some((22, 1)));
        assert_eq!(parse_candidate("x:\n  Candidate: (none)\n"), None);
        assert_eq!(parse_candidate(""), None);
    }
}
