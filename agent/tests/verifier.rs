//! Every program loads on this host, and the verifier walks about as many instructions as it did when the table in
//! `snapshots/verifier.txt` was made. `UPDATE=1 cargo xtask test the_verifier` makes this kernel's rows anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use harness::may_load_bpf;
use vedette_agent::sensor::{ProgramState, Sensor, SensorOptions};

/// The table.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/verifier.txt");

/// How much a program may grow, percent. Compilers differ by a few.
const GROWTH: u64 = 20;

/// What no program may reach on any kernel; the kernel's own limit is a million.
const LIMIT: u64 = 200_000;

/// What stands in the table for a program that the kernel does not take.
const UNAVAILABLE: &str = "unavailable";

const HEAD: &str = "\
# Instructions that the verifier walks, by kernel series and program.
# UPDATE=1 cargo xtask test the_verifier: makes the rows of the kernel it runs on anew.
";

/// Program → instructions, `None` where the kernel does not take it.
type Counts = BTreeMap<String, Option<u64>>;

/// Kernel series → programs.
type Table = BTreeMap<String, Counts>;

fn parse(text: &str) -> Table {
    let mut table = Table::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [series, program, count] = fields[..] else { panic!("a row of three columns, not `{line}`") };
        let count = (count != UNAVAILABLE).then(|| count.parse().unwrap());
        table.entry(series.to_owned()).or_default().insert(program.to_owned(), count);
    }
    table
}

fn print(table: &Table) -> String {
    let mut text = HEAD.to_owned();
    for (series, counts) in table {
        for (program, count) in counts {
            let count = count.map_or(UNAVAILABLE.to_owned(), |count| count.to_string());
            writeln!(text, "{series:<6} {program:<32} {count:>8}").unwrap();
        }
    }
    text
}

/// What is wrong with what was found, one sentence each.
fn compare(known: &Counts, found: &Counts) -> Vec<String> {
    let mut wrong = Vec::new();
    for (program, count) in found {
        match (known.get(program), count) {
            (None, _) => wrong.push(format!("{program} is new: it has no row")),
            (Some(Some(_)), None) => wrong.push(format!("{program} does not load any more")),
            (Some(None), Some(_)) => {
                wrong.push(format!("{program} loads now; its row says that it does not"))
            }
            (Some(Some(old)), Some(new)) if *new > old + old * GROWTH / 100 => {
                wrong.push(format!("{program} has grown from {old} to {new} verified instructions"));
            }
            _ => {}
        }
    }
    let gone = known.keys().filter(|program| !found.contains_key(*program));
    wrong.extend(gone.map(|program| format!("{program} is gone: its row has to go, too")));
    wrong
}

/// Major and minor number of the running kernel.
fn series() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    release.split(['.', '-']).take(2).collect::<Vec<_>>().join(".")
}

#[test]
fn the_verifier_takes_every_program_and_none_has_grown() {
    if !may_load_bpf("verifier") {
        return;
    }
    let sensor = Sensor::load(&SensorOptions::default()).unwrap();
    let mut found = Counts::new();
    for status in sensor.programs() {
        let loaded = !matches!(status.state, ProgramState::Unavailable(_));
        if let Some(why) = status.degradation() {
            eprintln!("{why}");
        }
        let count = status.verified_instructions.map(u64::from);
        assert!(!loaded || count.is_some(), "{}: the kernel does not tell", status.program.name);
        found.insert(status.program.name.to_owned(), count.filter(|_| loaded));
    }
    for (program, count) in &found {
        assert!(count.is_none_or(|count| count < LIMIT), "{program}: {count:?} of {LIMIT} at most");
    }
    let series = series();
    let mut table = parse(&std::fs::read_to_string(TABLE).unwrap_or_default());
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        table.insert(series, found);
        std::fs::create_dir_all(Path::new(TABLE).parent().unwrap()).unwrap();
        std::fs::write(TABLE, print(&table)).unwrap();
        return;
    }
    let Some(known) = table.get(&series) else {
        eprintln!("kernel {series} has no rows in {TABLE}; only the limit of {LIMIT} was checked:");
        eprint!("{}", print(&Table::from([(series, found)])));
        return;
    };
    let wrong = compare(known, &found);
    assert!(
        wrong.is_empty(),
        "on kernel {series}:\n  {}\nIf that is meant: UPDATE=1 cargo xtask test the_verifier",
        wrong.join("\n  ")
    );
}

#[test]
fn a_jump_a_new_program_and_a_lost_one_are_noticed() {
    let known = &parse("# head\n6.1 a 100\n6.1 b 50\n6.1 c 9\n6.1 d unavailable\n6.2 a 7\n")["6.1"];
    let found = |rows: &[(&str, Option<u64>)]| -> Counts {
        rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    let same = [("a", Some(120)), ("b", Some(10)), ("c", Some(9)), ("d", None)];
    assert_eq!(compare(known, &found(&same)), [""; 0]);
    let other = [("a", Some(121)), ("b", None), ("d", Some(1)), ("e", Some(1))];
    let wrong = compare(known, &found(&other)).join("; ");
    for part in ["a has grown from 100 to 121", "b does not load", "c is gone", "d loads now", "e is new"] {
        assert!(wrong.contains(part), "{part} is not in {wrong}");
    }
    let table = Table::from([("6.1".to_owned(), known.clone())]);
    assert_eq!(parse(&print(&table)), table);
}
