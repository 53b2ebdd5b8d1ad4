//! Makes system calls as no library would, and reads the records of them.

// Each test target is a crate of its own, and none uses everything.
#![allow(dead_code, reason = "shared by test targets")]

#[path = "fields.rs"]
mod fields;

use std::process::{Command, Stdio};

use vedette_abi::{Call, Header, Syscall, TaskFacts};
use vedette_event::{Body, Record, Strings};
use vedette_policy::{Facts, FieldName, Value};

use self::fields::with_facts;
use crate::sensor::Records;

/// A perl script that has run. Perl is part of every Debian, and its `syscall` passes what it is given.
pub struct Ran {
    /// Its process.
    pub pid: u32,
    /// What it wrote.
    pub out: String,
}

impl Ran {
    /// The numbers of a line such as `Uid:\t0\t0\t0\t0` of `/proc/PID/status`.
    pub fn status(&self, key: &str) -> Vec<u32> {
        self.line(key).split_ascii_whitespace().map(|n| n.parse().unwrap()).collect()
    }

    /// The capabilities of a line such as `CapEff:\t00000000a80425fb`.
    pub fn capabilities(&self, key: &str) -> u64 {
        u64::from_str_radix(self.line(key).trim(), 16).unwrap()
    }

    fn line(&self, key: &str) -> &str {
        self.out
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .unwrap_or_else(|| panic!("no {key} in {}", self.out))
    }

    /// The first line as a number: what the call returned, where the script printed it so.
    pub fn returned(&self) -> i64 {
        self.out.lines().next().unwrap().trim().parse().unwrap()
    }
}

/// Subroutines for scripts: `call` makes a system call and prints its result as the kernel returns it, `status` prints
/// `/proc/self/status`, `address` gives the address of a string.
const PRELUDE: &str = r#"
    $| = 1;
    sub call { my $r = syscall(shift, @_[0..$#_]); $r = -($!+0) if $r == -1 && $!+0; print "$r\n"; $! = 0; $r }
    sub status { open(my $f, '<', '/proc/self/status'); print <$f>; close $f }
    sub address { unpack('Q', pack('P', $_[0])) }
    $! = 0;
"#;

/// Runs a script after the prelude. Perl is called by its path, so that nothing is tried in vain before.
pub fn perl(script: &str, args: &[&str]) -> Ran {
    let child = Command::new("/usr/bin/perl")
        .args(["-e", &format!("{PRELUDE}{script}")])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}: {}, wrote: {out}", output.status);
    Ran { pid, out }
}

/// The record of a call that this process made once.
pub struct Seen<'r> {
    /// The whole record.
    pub record: Record<'r>,
    /// The call.
    pub call: Syscall,
    /// Its strings.
    pub strings: Strings<'r>,
}

impl Seen<'_> {
    /// The header.
    pub fn header(&self) -> &Header {
        &self.record.header
    }

    /// What the process was after the call.
    ///
    /// # Panics
    /// For a call that changes no process.
    pub fn task(&self) -> TaskFacts {
        match self.record.body {
            Body::ProcessChange { task, .. } => task,
            ref other => panic!("{other:?}"),
        }
    }

    /// A string as text.
    pub fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// `evt.args` as a rule sees them.
    pub fn args(&self) -> String {
        args(&self.record)
    }
}

/// `evt.args` of a record as a rule sees them.
pub fn args(record: &Record<'_>) -> String {
    field(record, "evt.args")
}

/// A field of a record as a rule sees it; nobody has a name, and of the process only the record is known.
pub fn field(record: &Record<'_>, name: &str) -> String {
    let name = FieldName::parse(name).unwrap();
    with_facts(record, |facts| match facts.get(name.id, &name.arg) {
        Value::Bytes(bytes) => Seen::text(&bytes),
        other => format!("{other:?}"),
    })
}

/// The record of the call that this process made once.
pub fn seen(records: &Records, pid: u32, call: Call) -> Seen<'_> {
    let record = records.one(|r| r.header.tgid == pid && r.call == Some(call));
    let (facts, strings) = match &record.body {
        Body::Syscall { facts, strings } | Body::ProcessChange { syscall: facts, strings, .. } => {
            (*facts, *strings)
        }
        other => panic!("{other:?}"),
    };
    Seen { record, call: facts, strings }
}
