//! The embedded log when its process is killed, and when its disk is full. Both happen to a child: this test program,
//! asked for one test that does nothing without being told where.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use vedette_controller::alert_log::{AlertLog, EmbeddedLog, LogError, embedded::Options};

use crate::support::{entries, large, numbers};

/// Where a child has its log.
const DIRECTORY: &str = "VEDETTE_TEST_ALERT_LOG";

fn child(act: &str, directory: &Path) -> Vec<String> {
    let program = env::current_exe().unwrap();
    let arguments = [program.to_str().unwrap(), "--exact", act, "--nocapture", "--test-threads=1"];
    let mut all = vec!["env".to_owned(), format!("{DIRECTORY}={}", directory.display())];
    all.extend(arguments.map(str::to_owned));
    all
}

fn start(command: &[String]) -> Child {
    Command::new(&command[0]).args(&command[1..]).stdout(Stdio::piped()).spawn().unwrap()
}

/// A child appends without end, and says how many were accepted.
#[tokio::test]
async fn act_append() {
    let Some(directory) = env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let options = Options { limit: 1 << 30, ..Options::new(directory) };
    let log = EmbeddedLog::open(options).await.unwrap();
    let mut next = log.range().await.unwrap().1;
    loop {
        let count = next % 23 + 1;
        // Whoever sends again after a crash sends some that were accepted.
        log.append(entries(next.saturating_sub(5)..next + count)).await.unwrap();
        next += count;
        println!("accepted {next}");
    }
}

#[tokio::test]
async fn what_was_accepted_outlives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut accepted = 0;
    for round in 1..=8 {
        let mut child = start(&child("crash::act_append", directory.path()));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = 0;
        for line in lines {
            let line = line.unwrap();
            let Some(number) = line.strip_prefix("accepted ") else { continue };
            accepted = number.parse().unwrap();
            said += 1;
            if said == round * 7 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let log = EmbeddedLog::open(Options::new(directory.path())).await.unwrap();
        let all = numbers(&log, 0).await;
        assert!(all.len() as u64 >= accepted, "{} of {accepted}", all.len());
        assert_eq!(all, (0..all.len() as u64).collect::<Vec<_>>(), "round {round}");
        assert_eq!(log.usage().await.unwrap().damaged, 0);
        log.close().await;
    }
    assert!(accepted > 500, "{accepted}");
}

/// A child whose disk has one megabyte.
#[tokio::test]
async fn act_fill_disk() {
    let Some(directory) = env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let ballast = directory.join("ballast");
    fs::write(&ballast, vec![1; 300_000]).unwrap();
    let log = EmbeddedLog::open(Options::new(directory.join("log"))).await.unwrap();
    let mut number = 0;
    let error = loop {
        match log.append(vec![large(number, 10_000)]).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 1000);
    };
    assert!(matches!(&error, LogError::Store(text) if text.contains("No space left")), "{error}");
    assert!(log.append(vec![large(number, 10_000)]).await.is_err());
    assert_eq!(numbers(&log, 0).await, (0..number).collect::<Vec<_>>());
    // There is room again: it goes on by itself.
    fs::remove_file(ballast).unwrap();
    for more in number..number + 10 {
        assert_eq!(log.append(vec![large(more, 10_000)]).await.unwrap().written, 1);
    }
    log.close().await;
    let log = EmbeddedLog::open(Options::new(directory.join("log"))).await.unwrap();
    assert_eq!(numbers(&log, 0).await, (0..number + 10).collect::<Vec<_>>());
    assert_eq!(log.usage().await.unwrap().damaged, 0);
    println!("filled at {number}");
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let able =
        Command::new("unshare").args(["-rm", "true"]).output().is_ok_and(|output| output.status.success());
    if !able {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "a mount namespace cannot be had");
        println!("skipped: a mount namespace cannot be had here");
        return;
    }
    let script = format!("mount -t tmpfs -o size=1m tmpfs '{}' && exec \"$@\"", directory.path().display());
    let mut command = ["unshare", "-rm", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
    command.extend(child("crash::act_fill_disk", directory.path()));
    let output = start(&command).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("filled at"), "{said}");
}
