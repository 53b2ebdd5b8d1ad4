//! A file that another thread renames all the time.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use libtest_mimic::Failed;

use super::{Stage, output};

/// Opens that must have succeeded.
const OPENS: usize = 2000;
/// How long all their alerts may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each open of the watched path that succeeded is told, whatever the file was called when the open was done.
pub fn renamed_while_opening(stage: &Stage) -> Result<(), Failed> {
    let (path, away) = (stage.root().join("race/file"), stage.root().join("race/away"));
    let mark = stage.agent.stdout.mark();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                // Each fails only when the other end has not been reached.
                let _ = fs::rename(&path, &away);
                let _ = fs::rename(&away, &path);
            }
        });
        let mut opened = 0;
        while opened < OPENS {
            opened += usize::from(fs::File::open(&path).is_ok());
        }
        done.store(true, Relaxed);
    });
    let mut seen = 0;
    stage.agent.stdout.wait_from(mark, PATIENCE, |line| {
        seen += usize::from(line.rule() == "Raced");
        seen == OPENS
    });
    let alerts: Vec<_> =
        stage.agent.stdout.since(mark).into_iter().filter(|line| line.rule() == "Raced").collect();
    assert_eq!(alerts.len(), OPENS);
    let raced = alerts.iter().filter(|line| output(line).contains("/race/away|")).count();
    eprintln!("{raced} of {OPENS} opens were overtaken by a rename");
    Ok(())
}
