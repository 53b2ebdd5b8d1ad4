//! `vedette alerts`.

use std::process::Stdio;

use serde_json::Value as Json;

use crate::rig::{Controller, Written, alert_json, run};
use crate::wait::until;

fn numbers(lines: &str) -> Vec<u64> {
    let number = |line: &str| {
        let alert: Json = serde_json::from_str(line).unwrap();
        alert["uid"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()
    };
    lines.lines().map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_find_what_was_asked_for_in_the_form_that_was_asked_for() {
    let controller = Controller::start(true, &[]);
    let mut agent = controller.agent("n1").await;
    agent.push(&[(1, "A", "Warning"), (2, "B", "Critical"), (3, "A", "Debug"), (4, "B", "Notice")]).await;
    controller.agent("n2").await.push(&[(5, "A", "Emergency")]).await;
    let query = |args: &[&str]| {
        let all: Vec<&str> = ["alerts", "query"].iter().chain(args).copied().collect();
        run(&mut controller.vedette(&all))
    };
    let found = |args: &[&str]| {
        let (code, out, error) = query(args);
        assert_eq!((code, error.as_str()), (0, ""), "{args:?}");
        numbers(&out)
    };
    assert_eq!(found(&[]), [1, 2, 3, 4, 5], "a pipe gets JSON lines");
    assert_eq!(found(&["--reverse"]), [5, 4, 3, 2, 1]);
    assert_eq!(found(&["--limit", "2"]), [4, 5], "the newest");
    assert_eq!(found(&["--limit", "0", "--rule", "A"]), [1, 3, 5]);
    assert_eq!(found(&["-p", "warning"]), [1, 2, 5]);
    assert_eq!(found(&["--node", "n1", "--rule", "A"]), [1, 3]);
    assert_eq!(found(&["--namespace", "shop", "--pod", "none"]), [0; 0]);
    assert_eq!(found(&["--since", "2026-01-31T12:00:02Z", "--until", "2026-01-31 12:00:04"]), [2, 3]);
    // The whole alert, as it was sent.
    let (_, out, _) = query(&["--rule", "B", "--limit", "1"]);
    assert_eq!(serde_json::from_str::<Json>(&out).unwrap(), alert_json("n1", 4, "B", "Notice"));

    let (_, text, _) = query(&["--output", "text", "--priority", "critical", "--node", "n1"]);
    assert!(text.starts_with("12:00:02.000Z Critical B: "), "{text}");
    assert_eq!((text.lines().count(), text.contains('\u{1b}')), (1, false), "{text}");
    let (_, ocsf, _) = query(&["--output", "ocsf", "--limit", "1"]);
    assert_eq!(serde_json::from_str::<Json>(&ocsf).unwrap()["class_uid"], 2004);

    let (code, _, error) = query(&["--priority", "loud"]);
    assert!(code == 64 && error.contains("Emergency, Alert, Critical"), "{code} {error}");
    let (code, _, error) = query(&["--since", "yesterday"]);
    assert!(code == 64 && error.contains("15m"), "{code} {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_goes_on_after_a_cut_without_showing_anything_twice() {
    let mut controller = Controller::start(true, &[]);
    controller.agent("n1").await.push(&[(1, "A", "Warning"), (2, "A", "Warning"), (3, "A", "Warning")]).await;
    let mut command = controller.vedette(&["alerts", "tail", "-n", "2", "--limit", "6"]);
    let mut tail = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, said) =
        (Written::follow(tail.stdout.take().unwrap()), Written::follow(tail.stderr.take().unwrap()));
    until("those that are there", || (numbers(&out.text()) == [2, 3]).then_some(()));
    controller.agent("n1").await.push(&[(4, "A", "Warning")]).await;
    until("one that arrives", || (numbers(&out.text()) == [2, 3, 4]).then_some(()));

    controller.restart();
    // While nobody reads, and again after a second cut.
    controller.agent("n1").await.push(&[(5, "A", "Warning")]).await;
    said.line("connected again");
    controller.agent("n1").await.push(&[(6, "A", "Warning")]).await;
    until("what came later", || (numbers(&out.text()) == [2, 3, 4, 5, 6]).then_some(()));
    controller.restart();
    controller.agent("n1").await.push(&[(7, "A", "Warning")]).await;
    let ended = until("its end", || tail.try_wait().unwrap());
    assert!(ended.success());
    until("the rest", || (out.text().lines().count() == 6).then_some(()));
    assert_eq!(numbers(&out.text()), [2, 3, 4, 5, 6, 7]);
    assert!(said.text().contains("connecting again"), "{}", said.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_saw_nothing_yet_misses_nothing_either() {
    let mut controller = Controller::start(true, &[]);
    controller.agent("n1").await.push(&[(1, "A", "Warning")]).await;
    let args = ["alerts", "tail", "--rule", "B", "--limit", "1"];
    let mut tail = controller.vedette(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = Written::follow(tail.stderr.take().unwrap());
    let out = Written::follow(tail.stdout.take().unwrap());
    // It reads once another reader of the same place has seen what is there.
    let seen = controller.vedette(&["alerts", "tail", "-n", "1", "--limit", "1"]).output().unwrap();
    assert_eq!(numbers(std::str::from_utf8(&seen.stdout).unwrap()), [1]);
    controller.kill();
    // The first cut may have come before it was there; then it has ended, and says so.
    if let Some(ended) = tail.try_wait().unwrap() {
        assert_eq!(ended.code(), Some(69), "{}", said.text());
        return;
    }
    said.line("connecting again");
    controller.restart();
    controller.agent("n1").await.push(&[(2, "B", "Warning")]).await;
    assert!(until("its end", || tail.try_wait().unwrap()).success());
    until("the alert", || (numbers(&out.text()) == [2]).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_since_then_shows_all_from_then_on() {
    let controller = Controller::start(true, &[]);
    let alerts: Vec<(u64, &str, &str)> = (1..=30).map(|number| (number, "A", "Warning")).collect();
    controller.agent("n1").await.push(&alerts).await;
    let args = ["alerts", "tail", "--since", "2026-01-31T12:00:03Z", "--limit", "28"];
    let (code, out, error) = run(&mut controller.vedette(&args));
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(numbers(&out), (3..=30).collect::<Vec<_>>());
    let (code, _, error) = run(&mut controller.vedette(&["alerts", "tail", "--since", "1h", "-n", "5"]));
    assert!(code == 64 && error.contains("--since"), "{error}");
}
