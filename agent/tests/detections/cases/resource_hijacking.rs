//! Cases for the policy `resource-hijacking`.

use super::{Case, act, os};

/// A shell that makes copies of itself, and those make copies, for as many generations as are asked for.
const MULTIPLY: &str =
    "f() { if [ \"$1\" -gt 0 ]; then (f $(($1 - 1))); (f $(($1 - 1))); fi; :; }; f \"$1\"; :";

pub const CASES: &[Case] = &[
    Case {
        rule: "Coin miner started",
        attacks: &[act("pool_address", |s| {
            s.run(&mut s.act(["nothing", "--url", "stratum+tcp://127.0.0.1:3333"]))
        })],
        evasions: &[],
        benign: &[act("search_for_the_word", |s| {
            let list = s.file("blocklist.txt");
            s.shell("! grep -c stratum+tcp:// \"$1\"", &[os(&list)])
        })],
    },
    Case {
        rule: "Mining pool reached",
        attacks: &[act("from_shared_memory", |s| {
            let (_place, miner) = s.copy_of(s.helper().to_str().unwrap(), "/dev/shm", "updates");
            s.run(&mut s.act_by(&miner, ["connect", "127.0.0.1:3333"]))
        })],
        evasions: &[
            act("from_memory", |s| {
                let helper = s.helper();
                let act = [os("exec-memfd"), os(&helper), os("--act"), os("connect"), os("127.0.0.1:14444")];
                s.run(&mut s.act(act))
            }),
            act("from_a_hidden_directory", |s| {
                let (_place, miner) =
                    s.copy_of(s.helper().to_str().unwrap(), "/var/lib/.vedette-test", "updates");
                s.run(&mut s.act_by(&miner, ["connect", "127.0.0.1:7777"]))
            }),
        ],
        benign: &[act("installed_program_and_other_port", |s| {
            s.acts(&[&[os("connect"), os("127.0.0.1:3333")], &[os("connect"), os("127.0.0.1:443")]])
        })],
    },
    Case {
        rule: "Processor tuned for mining",
        // Opened, and nothing written.
        attacks: &[act("huge_pages", |s| s.run(&mut s.act(["write", "/proc/sys/vm/nr_hugepages"])))],
        evasions: &[act("by_the_root_of_the_process", |s| {
            s.run(&mut s.act(["write", "/proc/self/root/proc/sys/vm/nr_hugepages"]))
        })],
        benign: &[act("by_the_system", |s| s.shell(": >> /proc/sys/vm/nr_hugepages", &[]))],
    },
    Case {
        rule: "Bandwidth sold",
        attacks: &[act("token", |s| {
            let act = ["nothing", "start", "accept", "--token", "made-by-a-test"];
            s.run(&mut s.act(act))
        })],
        evasions: &[act("another_name", |s| {
            let act = ["nothing", "-email=test@example.com", "-password=test", "-accept-tos"];
            s.run(&mut s.act_by(&s.executable("kworker-helper"), act))
        })],
        benign: &[act("word_in_a_search", |s| {
            let list = s.file("notes.txt");
            s.shell("! grep -c -- '-accept-tos -email' \"$1\"", &[os(&list)])
        })],
    },
    Case {
        rule: "Processes multiply without end",
        attacks: &[act("copies_of_copies", |s| s.shell(MULTIPLY, &[os("9")]))],
        evasions: &[act("under_another_name", |s| {
            let (_place, shell) = s.copy_of("/bin/sh", "/var/lib", "worker");
            s.run(std::process::Command::new(shell).args(["-euc", MULTIPLY, "worker", "9"]))
        })],
        benign: &[act("many_children_of_one", |s| {
            let loops = "i=0; while [ $i -lt 150 ]; do (:); i=$((i + 1)); done; (((:)))";
            s.shell(loops, &[])
        })],
    },
    Case {
        rule: "Packets made by hand",
        attacks: &[act("raw_socket", |s| s.run(&mut s.act(["raw-packet-socket"])))],
        evasions: &[],
        benign: &[act("echo_requests", |s| s.run(&mut s.act(["udp-socket"])))],
    },
];
