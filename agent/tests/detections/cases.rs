//! The table: for each built-in rule attacks, and everyday work that looks like them. A file for each tactic.

mod availability;
mod collection;
mod command_and_control;
mod container_administration;
mod container_escape;
mod credential_access;
mod defense_impairment;
mod discovery;
mod execution;
mod execution_payloads;
mod execution_shells;
mod exfiltration;
mod impact;
mod lateral_movement;
mod persistence;
mod privilege_escalation;
mod resource_hijacking;
mod stealth;

use std::{ffi::OsStr, process::Command};

use crate::scene::Scene;

/// A rule with what must and what must not raise it.
#[derive(Clone, Copy)]
pub struct Case {
    /// Name of the rule.
    pub rule: &'static str,
    /// The attack, in as many ways as are worth telling apart; at least one for each technique of the rule.
    pub attacks: &'static [Act],
    /// The same with a trick that a rule by names, paths as text or system calls as usual would miss.
    pub evasions: &'static [Act],
    /// Benign twins: at least one.
    pub benign: &'static [Act],
}

/// Something that is done to the host or to a container.
#[derive(Clone, Copy)]
pub struct Act {
    /// Its name within the rule, in snake case.
    pub name: &'static str,
    /// The techniques that it shows; all of the rule's, if none are given.
    pub shows: &'static [&'static str],
    /// Does it, and returns the pid of the process that did everything, itself or by its children.
    pub run: fn(&Scene) -> u32,
}

impl Act {
    /// Shows only these techniques of the rule.
    pub const fn showing(mut self, techniques: &'static [&'static str]) -> Self {
        self.shows = techniques;
        self
    }
}

/// An act.
pub const fn act(name: &'static str, run: fn(&Scene) -> u32) -> Act {
    Act { name, shows: &[], run }
}

impl Case {
    /// All that must raise it.
    pub fn positive(&self) -> impl Iterator<Item = Act> + use<> {
        self.attacks.iter().chain(self.evasions).copied()
    }
}

/// All cases.
pub fn all() -> impl Iterator<Item = Case> {
    [
        availability::CASES,
        collection::CASES,
        command_and_control::CASES,
        container_administration::CASES,
        container_escape::CASES,
        credential_access::CASES,
        credential_access::stores::CASES,
        credential_access::processes::CASES,
        defense_impairment::CASES,
        discovery::CASES,
        execution::CASES,
        execution_payloads::CASES,
        execution_shells::CASES,
        exfiltration::CASES,
        impact::CASES,
        lateral_movement::CASES,
        privilege_escalation::CASES,
        resource_hijacking::CASES,
        stealth::CASES,
        stealth::hiding::CASES,
        stealth::names::CASES,
    ]
    .into_iter()
    .chain(persistence::CASES.iter().copied())
    .flatten()
    .copied()
}

/// Shorthand for lists of arguments of several types.
fn os<T: AsRef<OsStr> + ?Sized>(text: &T) -> &OsStr {
    text.as_ref()
}

/// Code on the command line of Perl, with arguments: an interpreter makes any system call that a program could.
fn perl<T: AsRef<OsStr> + ?Sized>(scene: &Scene, code: &str, args: &[&T]) -> u32 {
    scene.run(Command::new("/usr/bin/perl").args(["-e", code]).args(args))
}

/// The same from a file.
fn perl_script<T: AsRef<OsStr> + ?Sized>(scene: &Scene, code: &str, args: &[&T]) -> u32 {
    let script = scene.file("script.pl");
    std::fs::write(&script, code).unwrap();
    scene.run(Command::new("/usr/bin/perl").arg(script).args(args))
}

/// A command without a terminal, in a session of its own.
fn detached(program: &str) -> Command {
    let mut command = Command::new("setsid");
    command.args(["--wait", program]);
    command
}

/// A shell script in a mount namespace of its own.
fn in_own_mounts(scene: &Scene, script: &str, args: &[&OsStr]) -> u32 {
    scene.run(Command::new("unshare").args(["-m", "--", "/bin/sh", "-euc", script, "sh"]).args(args))
}
