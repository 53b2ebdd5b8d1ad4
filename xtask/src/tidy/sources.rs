//! Checks on single Rust files: size, words, unsafe code, test manners.

use std::ops::Range;

use super::tokens::{code_only, line_of, words};
use super::{Finding, SourceFile};

/// A file longer than this is mentioned.
const LONG: usize = 500;
/// A file longer than this fails the check.
const TOO_LONG: usize = 600;

/// Where unsafe code may be: what talks to the kernel in its own layouts, and tests that call it past every library.
const UNSAFE_ALLOWED: &[&str] =
    &["agent-ebpf/", "agent/src/btf/", "agent/src/sensor/", "agent/tests/raw/", "crates/abi/"];

/// What no committed file may call, and what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or return an error that says so"),
    ("dbg!", "remove it, or use tracing"),
    ("#[ignore", "make the test pass everywhere, or delete it"),
];

/// What no test may call: it makes a test slow on a fast machine and flaky on a slow one.
const SLEEPS: &[&str] = &["thread::sleep", "time::sleep", "sleep_ms"];

/// The one kind of file that may sleep in tests: it polls for a condition until a deadline.
const POLLING_FILE: &str = "wait.rs";

/// What the pure crates may not reach for, and the crates.
const NO_IO: &[&str] =
    &["std::fs", "std::process", "std::env", "std::thread", "TcpStream", "UdpSocket", "UnixStream"];
const PURE_CRATES: &[&str] = &["crates/abi/src/", "crates/event/src/", "crates/policy/src/"];

/// The exceptions: what finds and reads policy files for the agent, the controller and the command line,
/// which have no other crate in common. Everything behind it takes text.
const IO_ALLOWED: &[&str] = &["crates/policy/src/load.rs"];

/// Everything that is wrong with one file.
pub fn check(file: &SourceFile) -> Vec<Finding> {
    let code = code_only(&file.text);
    let tests = test_regions(&file.path, &code);
    let mut findings: Vec<Finding> = size(file).into_iter().chain(file_name(file)).collect();
    findings.extend(forbidden_words(file, &code));
    findings.extend(sleeping_tests(file, &code, &tests));
    findings.extend(misplaced_unsafe(file, &code));
    findings.extend(io_in_pure_crates(file, &code, &tests));
    findings
}

fn size(file: &SourceFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    let remedy = "split it along its parts: foo.rs and foo/part.rs";
    if lines > TOO_LONG {
        Some(Finding::error(&file.path, 0, format!("{lines} lines, {TOO_LONG} at most"), remedy))
    } else if lines > LONG {
        Some(Finding::warning(&file.path, 0, format!("{lines} lines, better no more than {LONG}"), remedy))
    } else {
        None
    }
}

fn file_name(file: &SourceFile) -> Option<Finding> {
    let directory = file.path.strip_suffix("/mod.rs")?;
    // Cargo knows this one name for code that integration tests share; a plain file would be a test.
    if directory.split('/').rev().nth(1) == Some("tests") {
        return None;
    }
    Some(Finding::error(&file.path, 0, "a module file called mod.rs", format!("rename it to {directory}.rs")))
}

fn forbidden_words(file: &SourceFile, code: &str) -> Vec<Finding> {
    let found = FORBIDDEN.iter().flat_map(|(word, remedy)| {
        words(code, word).map(|at| {
            let word = word.trim_start_matches("#[");
            Finding::error(&file.path, line_of(code, at), format!("`{word}` in committed code"), *remedy)
        })
    });
    found.collect()
}

fn sleeping_tests(file: &SourceFile, code: &str, tests: &[Range<usize>]) -> Vec<Finding> {
    if file.path.ends_with(&format!("/{POLLING_FILE}")) {
        return Vec::new();
    }
    let sleeps = SLEEPS.iter().flat_map(|word| words(code, word));
    sleeps
        .filter(|at| tests.iter().any(|region| region.contains(at)))
        .map(|at| {
            let remedy =
                format!("wait for the condition, with a deadline; polling belongs into a {POLLING_FILE}");
            Finding::error(&file.path, line_of(code, at), "a test sleeps", remedy)
        })
        .collect()
}

fn misplaced_unsafe(file: &SourceFile, code: &str) -> Vec<Finding> {
    // `agent/src/btf/` allows `agent/src/btf.rs` as well.
    let module = file.path.trim_end_matches(".rs");
    let inside = |place: &str| file.path.starts_with(place) || module == place.trim_end_matches('/');
    if UNSAFE_ALLOWED.iter().any(|place| inside(place)) {
        return Vec::new();
    }
    words(code, "unsafe")
        .map(|at| {
            let remedy = format!("use a safe library; unsafe code may be in {}", UNSAFE_ALLOWED.join(", "));
            Finding::error(&file.path, line_of(code, at), "unsafe code", remedy)
        })
        .collect()
}

fn io_in_pure_crates(file: &SourceFile, code: &str, tests: &[Range<usize>]) -> Vec<Finding> {
    let pure = PURE_CRATES.iter().any(|prefix| file.path.starts_with(prefix));
    if !pure || IO_ALLOWED.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let found = NO_IO.iter().flat_map(|word| words(code, word).map(move |at| (*word, at)));
    found
        .filter(|(_, at)| !tests.iter().any(|region| region.contains(at)))
        .map(|(word, at)| {
            let message = format!("`{word}` in a crate that does no I/O");
            Finding::error(
                &file.path,
                line_of(code, at),
                message,
                "let the caller do it, and pass the data in",
            )
        })
        .collect()
}

/// The parts of a file that are test code: all of it, or its `#[cfg(test)]` modules.
fn test_regions(path: &str, code: &str) -> Vec<Range<usize>> {
    if path.split('/').any(|part| part == "tests" || part == "tests.rs") {
        return std::iter::once(0..code.len()).collect();
    }
    let marker = "#[cfg(test)]";
    code.match_indices(marker)
        .filter_map(|(at, _)| {
            let after = at + marker.len();
            // Only an item with a body: a `;` before the first brace ends an item that has none.
            let open = after + code[after..].find(['{', ';'])?;
            (code.as_bytes()[open] == b'{').then(|| at..closing_brace(code, open))
        })
        .collect()
}

fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code[open..].bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return open + offset,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check(&SourceFile { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn a_clean_file_has_no_findings() {
        let text = "//! Docs that say todo! and unsafe.\nfn f() { std::thread::sleep(ONE); }\n";
        assert_eq!(findings("agent/src/main.rs", text), []);
    }

    #[test]
    fn sizes_are_limited() {
        let lines = |count: usize| "fn f() {}\n".repeat(count);
        assert_eq!(findings("a/b.rs", &lines(500)), []);
        assert_eq!(findings("a/b.rs", &lines(501))[0].severity, Severity::Warning);
        assert_eq!(findings("a/b.rs", &lines(600))[0].severity, Severity::Warning);
        assert_eq!(findings("a/b.rs", &lines(601))[0].severity, Severity::Error);
    }

    #[test]
    fn forbidden_words_are_found_with_their_line() {
        for (text, word) in [
            ("\n\nfn f() { todo!() }", "`todo!`"),
            ("\n\nfn f() { unimplemented!() }", "`unimplemented!`"),
            ("\n\nfn f() { dbg!(1); }", "`dbg!`"),
            ("#[test]\n\n#[ignore]\nfn f() {}", "`ignore`"),
            ("#[test]\n\n#[ignore = \"slow\"]\nfn f() {}", "`ignore`"),
        ] {
            let found = findings("agent/src/main.rs", text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].line, 3, "{text}");
            assert!(found[0].message.contains(word), "{}", found[0].message);
        }
    }

    #[test]
    fn module_files_are_named_after_their_module() {
        let found = findings("agent/src/btf/mod.rs", "");
        assert!(found[0].remedy.contains("agent/src/btf.rs"), "{}", found[0].remedy);
        assert_eq!(findings("agent/tests/common/mod.rs", ""), []);
    }

    #[test]
    fn tests_do_not_sleep() {
        let module = "fn f() { std::thread::sleep(D) }\n#[cfg(test)]\nmod tests {\n    fn t() { std::thread::sleep(D) }\n}\n";
        let found = findings("agent/src/main.rs", module);
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [4]);
        assert_eq!(findings("agent/tests/x.rs", "fn t() { tokio::time::sleep(D).await }").len(), 1);
        assert_eq!(findings("agent/tests/support/wait.rs", "fn w() { std::thread::sleep(D) }"), []);
        let item = "#[cfg(test)]\nuse a::b;\nfn f() { std::thread::sleep(D) }";
        assert_eq!(findings("agent/src/main.rs", item), []);
    }

    #[test]
    fn unsafe_code_stays_where_it_is_allowed() {
        let text = "fn f() { unsafe { g() } }";
        assert_eq!(findings("agent/src/engine/match.rs", text).len(), 1);
        for path in
            ["agent-ebpf/src/main.rs", "agent/src/btf/walk.rs", "agent/src/btf.rs", "crates/abi/src/lib.rs"]
        {
            assert_eq!(findings(path, text), [], "{path}");
        }
    }

    #[test]
    fn pure_crates_do_no_io_outside_their_tests() {
        let text = "use std::fs;\n#[cfg(test)]\nmod tests { use std::fs; }";
        let found = findings("crates/policy/src/parse.rs", text);
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1]);
        assert_eq!(findings("crates/policy/tests/conformance.rs", text), []);
        assert_eq!(findings("crates/policy/src/load.rs", text), []);
        assert_eq!(findings("crates/policy/src/net.rs", "use std::net::IpAddr;"), []);
        assert_eq!(findings("agent/src/policies.rs", text), []);
    }
}
