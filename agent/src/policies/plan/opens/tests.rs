use super::*;
use vedette_policy::{PolicySet, Source};

fn of(condition: &str, may_change: bool) -> Need {
    let text = format!(
        "- rule: r\n  desc: d\n  condition: evt.type in (openat, execve) and {condition}\n  output: o\n  priority: INFO\n"
    );
    let loaded = PolicySet::load([Source::new("t.yaml", text)]);
    let set = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    needed(&set.rules()[0], &set.event_types_of(0), may_change)
}

fn one(name: Name) -> Need {
    Need::Names([name].into())
}

fn whole<const N: usize>(names: [&str; N]) -> Need {
    Need::Names(names.iter().map(|name| Name::Whole(name.as_bytes().to_vec())).collect())
}

#[test]
fn the_last_whole_name_of_what_a_path_must_have() {
    for (condition, name) in [
        ("fd.name = /etc/shadow", "shadow"),
        ("fs.path.place pmatch (/etc/cron.d)", "cron.d"),
        ("fd.name startswith /etc/cron.d/", "cron.d"),
        ("fd.name startswith /proc/", "proc"),
        ("fd.name endswith /.aws/credentials", "credentials"),
        ("fd.name contains /.ssh/", ".ssh"),
        ("fd.name contains x/.ssh/y", ".ssh"),
        ("fd.name glob */.aws/sso/cache/*", "cache"),
        ("fd.directory endswith /.ssh", ".ssh"),
        ("fd.filename = token", "token"),
    ] {
        assert_eq!(of(condition, false), whole([name]), "{condition}");
    }
}

#[test]
fn how_a_name_begins_or_ends() {
    for (condition, name) in [
        ("fd.name startswith /var/lib/kubelet/pki/kubelet-client", Name::Begins(*b"kub")),
        ("fd.filename startswith id_", Name::Begins(*b"id_")),
        ("fd.name glob */.azure/msal_token_cache.*", Name::Begins(*b"msa")),
        ("fd.filename endswith _key.pem", Name::EndsLong(*b"ey.pem")),
        ("fd.name endswith .kdbx", Name::Ends(*b"kdbx")),
        ("fd.name glob */.aws/sso/*.json", Name::Ends(*b"json")),
        ("proc.exepath = /usr/bin/perl", Name::Program(b"perl".to_vec())),
        ("basename(proc.exepath) in (bash)", Name::Program(b"bash".to_vec())),
        ("basename(proc.exepath) startswith python3.", Name::ProgramBegins(*b"pyt")),
    ] {
        assert_eq!(of(condition, false), one(name), "{condition}");
    }
}

#[test]
fn what_tells_no_name_keeps_all() {
    for condition in [
        "fd.name endswith .so",
        "fd.name contains shadow",
        "fd.name glob */[a/b]/c",
        "fd.name icontains /.SSH/",
        "fd.name regex .*/etc/shadow",
        "fd.nameraw = /etc/shadow",
        "fd.name startswith /usr/",
        "fd.name != /etc/shadow",
        "not fd.name = /etc/shadow",
        "fd.filename startswith id",
        "fd.directory = /",
        "proc.name = x",
        "proc.exepath pmatch (/tmp)",
        "not basename(proc.exepath) in (bash)",
    ] {
        assert_eq!(of(condition, false), Need::Every, "{condition}");
    }
}

#[test]
fn what_must_hold_together_gives_the_rarest_and_either_gives_both() {
    let condition = "fd.name startswith /etc/ and fd.filename = shadow and proc.name = x";
    assert_eq!(of(condition, false), whole(["shadow"]));
    assert_eq!(of("(fd.name = /a/b or fd.filename in (c, d))", false), whole(["b", "c", "d"]));
    assert_eq!(of("(fd.name = /a/b or proc.name = x)", false), Need::Every);
    assert_eq!(of("(fd.name = /a/b or evt.type = execve)", false), whole(["b"]));
}

#[test]
fn opens_that_may_change_something_are_told_apart() {
    let condition = "evt.is_open_write = true and fd.name = /a/b";
    assert_eq!((of(condition, true), of(condition, false)), (whole(["b"]), Need::NEVER));
    let condition = "not evt.is_open_write = true";
    // An open that makes a file may be for reading.
    assert_eq!((of(condition, true), of(condition, false)), (Need::Every, Need::Every));
    assert_eq!(of("evt.is_open_create = true", false), Need::NEVER);
}

/// Nothing that no rule is about comes up while files are read: what makes the built-in rules cheap.
#[test]
fn the_built_in_rules_ask_for_files_by_name() {
    let loaded = PolicySet::load_at(crate::policies::built_in(), vedette_policy::Level::Default);
    let set = loaded.set.unwrap();
    let mut every = Vec::new();
    for (index, rule) in set.rules().iter().enumerate().filter(|(_, rule)| rule.is_active()) {
        // Containers alone are a part of the machine.
        let on_host = crate::policies::plan::scopes(rule) & vedette_abi::SCOPE_HOST != 0;
        if on_host && needed(rule, &set.event_types_of(index), false) == Need::Every {
            every.push(&rule.name);
        }
    }
    assert!(every.is_empty(), "these ask for every file that is read: {every:?}");
}
