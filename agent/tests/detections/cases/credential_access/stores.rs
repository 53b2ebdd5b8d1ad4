//! Cases for the policy `credential-access`: what browsers, keyrings, domains and shells keep.

use std::{fs, process::Command};

use super::super::{Case, act, detached, os};

pub const CASES: &[Case] = &[
    Case {
        rule: "Passwords of a browser read",
        attacks: &[
            act("passwords", |s| {
                s.run(s.act(["read"]).arg(s.file(".mozilla/firefox/x.default/logins.json")))
            })
            .showing(&["T1555.003"]),
            act("cookies", |s| {
                s.run(
                    Command::new("cp").arg(s.file(".config/google-chrome/Default/Cookies")).arg("/dev/null"),
                )
            })
            .showing(&["T1539"]),
        ],
        evasions: &[act("in_a_snap", |s| {
            s.run(s.act(["read"]).arg(s.file("snap/chromium/common/chromium/Default/Login Data")))
        })
        .showing(&["T1555.003"])],
        benign: &[act("browser_itself", |s| {
            s.run(
                s.act_by(&s.executable("firefox"), ["read"])
                    .arg(s.file(".mozilla/firefox/x.default/key4.db")),
            )
        })],
    },
    Case {
        rule: "Password store read",
        attacks: &[
            act("keyring", |s| s.run(s.act(["read"]).arg(s.file(".local/share/keyrings/login.keyring")))),
            act("database", |s| s.run(Command::new("cat").arg(s.file("passwords.kdbx")))),
            act("secret_key", |s| s.run(Command::new("cat").arg(s.file(".gnupg/private-keys-v1.d/1.key")))),
        ],
        evasions: &[act("builtin_of_a_shell", |s| {
            s.shell("read -r line < \"$1\"", &[os(&s.file(".password-store/bank.gpg"))])
        })],
        benign: &[act("keyring_itself", |s| {
            let keyring = s.file(".local/share/keyrings/login.keyring");
            s.run(s.act_by(&s.executable("gnome-keyring-daemon"), ["read"]).arg(keyring))
        })],
    },
    Case {
        rule: "Kerberos tickets or keys copied",
        attacks: &[
            act("tickets", |s| {
                let cache = format!("/tmp/krb5cc_vedette-test-{}", std::process::id());
                fs::write(&cache, "made by a test").unwrap();
                let pid = s.run(Command::new("cat").arg(&cache));
                fs::remove_file(cache).unwrap();
                pid
            }),
            act("keys", |s| s.run(Command::new("cp").arg(s.file("host.keytab")).arg("/dev/null"))),
        ],
        evasions: &[act("builtin_of_a_shell", |s| {
            s.shell("read -r l < \"$1\"", &[os(&s.file("ada.ccache"))])
        })],
        benign: &[act("client_itself", |s| {
            s.run(s.act_by(&s.executable("klist"), ["read"]).arg(s.file("ada.ccache")))
        })],
    },
    Case {
        rule: "Cached passwords of a domain read",
        attacks: &[act("cache", |s| {
            let place = s.place("/var/lib/sss/db");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(Command::new("strings").arg("--").arg(&place).env("PATH", "/usr/bin:/bin")).max(1)
        })],
        evasions: &[act("by_a_program_of_no_name", |s| {
            let place = s.place("/var/lib/samba/private");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(s.act(["read"]).arg(&place))
        })],
        benign: &[act("checksum", |s| {
            let place = s.place("/var/lib/sss/db");
            fs::write(&place.path, "made by a test").unwrap();
            s.run(Command::new("md5sum").arg(&place))
        })],
    },
    Case {
        rule: "Command history read",
        attacks: &[act("cat", |s| s.run(detached("cat").arg(s.file(".bash_history"))))],
        evasions: &[act("builtin_of_a_shell", |s| {
            s.run(detached("sh").args(["-c", "read -r line < \"$0\""]).arg(s.file(".bash_history")))
        })],
        benign: &[act("shell_itself", |s| {
            s.run(detached("bash").args(["--norc", "-ic", "true"]).env("HISTFILE", s.file(".bash_history")))
        })],
    },
    Case {
        rule: "Command history looked through",
        attacks: &[act("at_a_terminal", |s| {
            let command = format!("cat {}", s.file(".bash_history").display());
            s.run(Command::new("script").args(["-qec", &command, "/dev/null"]))
        })],
        evasions: &[],
        benign: &[act("listed", |s| {
            let command = format!("ls -l {}", s.file(".bash_history").display());
            s.run(Command::new("script").args(["-qec", &command, "/dev/null"]))
        })],
    },
    Case {
        rule: "Second factor read",
        attacks: &[act("cat", |s| s.run(Command::new("cat").arg(s.file(".google_authenticator"))))],
        evasions: &[act("builtin_of_a_shell", |s| {
            s.shell("read -r line < \"$1\"", &[os(&s.file(".google_authenticator"))])
        })],
        benign: &[act("set_up", |s| {
            let file = s.file(".google_authenticator");
            s.run(s.act_by(&s.executable("google-authenticator"), ["read"]).arg(file))
        })],
    },
];
