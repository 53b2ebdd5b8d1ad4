//! Sinks from YAML files, read again when they change.

use std::{path::PathBuf, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    config::{ConfigError, NamedSink, parse},
    set::Sinks,
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads the sinks of these files.
///
/// # Errors
/// Everything that is wrong in any of them.
pub async fn load(paths: &[PathBuf]) -> Result<Vec<NamedSink>, Vec<ConfigError>> {
    let texts = read(paths).await?;
    sinks_of(paths, &texts)
}

async fn read(paths: &[PathBuf]) -> Result<Vec<String>, Vec<ConfigError>> {
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        match tokio::fs::read_to_string(path).await {
            Ok(text) => texts.push(text),
            Err(error) => errors.push(fault(path, format!("cannot be read: {error}"))),
        }
    }
    if errors.is_empty() { Ok(texts) } else { Err(errors) }
}

fn sinks_of(paths: &[PathBuf], texts: &[String]) -> Result<Vec<NamedSink>, Vec<ConfigError>> {
    let (mut sinks, mut errors): (Vec<NamedSink>, _) = (Vec::new(), Vec::new());
    for (path, text) in paths.iter().zip(texts) {
        match parse(&path.display().to_string(), text) {
            Ok(sink) if sinks.iter().any(|other| other.name == sink.name) => {
                errors.push(fault(path, format!("there is a sink {} already", sink.name)));
            }
            Ok(sink) => sinks.push(sink),
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(sinks) } else { Err(errors) }
}

fn fault(path: &std::path::Path, message: String) -> ConfigError {
    ConfigError { file: path.display().to_string(), line: None, field: None, message, remedy: None }
}

/// Applies the files whenever their text changes, until it is told to stop. While something is wrong with one of them,
/// all sinks stay as they are, and the log says what is wrong.
pub async fn watch(sinks: &Sinks, paths: &[PathBuf], stop: CancellationToken) {
    // They may have changed since they were applied: the first look applies them, too, which changes nothing if not.
    let mut known = None;
    let mut told = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK_EVERY) => {}
        }
        let texts = match read(paths).await {
            Ok(texts) if known.as_ref() == Some(&texts) => continue,
            Ok(texts) => texts,
            Err(errors) => {
                // A file that is being replaced is there again the next time.
                if !std::mem::replace(&mut told, true) {
                    errors.iter().for_each(|error| tracing::warn!("{error}"));
                }
                continue;
            }
        };
        match sinks_of(paths, &texts) {
            Ok(wanted) => match sinks.apply(wanted).await {
                Ok(()) => tracing::debug!("the sinks were read again"),
                Err(errors) => errors.iter().for_each(|error| tracing::error!("{error}")),
            },
            Err(errors) => {
                errors.iter().for_each(|error| tracing::error!("{error}; the sinks stay as they are"))
            }
        }
        known = Some(texts);
        told = false;
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use tokio::time::{advance, timeout};

    use super::*;
    use crate::{alert_log::MemoryLog, sink::secrets::LocalSecrets};

    #[tokio::test(start_paused = true)]
    async fn changes_are_applied_and_mistakes_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["a.yaml", "b.yaml"].map(|name| directory.path().join(name)).to_vec();
        let write = |file: usize, out: &str| {
            let out = directory.path().join(out);
            fs::write(&paths[file], format!("file: {{path: {}}}\n", out.display())).unwrap();
        };
        write(0, "one");
        assert!(load(&paths).await.unwrap_err()[0].to_string().contains("b.yaml: cannot be read"));
        write(1, "two");
        let sinks =
            Arc::new(Sinks::new(Arc::new(MemoryLog::default()), directory.path(), Arc::new(LocalSecrets)));
        sinks.apply(load(&paths).await.unwrap()).await.unwrap();
        let stop = CancellationToken::new();
        let watching = tokio::spawn({
            let (sinks, paths, stop) = (Arc::clone(&sinks), paths.clone(), stop.clone());
            async move { watch(&sinks, &paths, stop).await }
        });
        let kinds = async || sinks.statuses().await.iter().map(|status| status.kind).collect::<Vec<_>>();
        let until = async |expected: &[&str]| {
            let waiting = async {
                while kinds().await != expected {
                    advance(Duration::from_millis(100)).await;
                    tokio::task::yield_now().await;
                }
            };
            timeout(Duration::from_hours(24), waiting).await.unwrap();
        };
        until(&["file", "file"]).await;
        fs::write(&paths[1], "stdout: {}\n").unwrap();
        until(&["file", "stdout"]).await;
        // A mistake in one changes nothing; then both change.
        fs::write(&paths[0], "stdout: {}\n").unwrap();
        fs::write(&paths[1], "stdout: {x: 1}\n").unwrap();
        for _ in 0..100 {
            advance(Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(kinds().await, ["file", "stdout"]);
        write(1, "two");
        until(&["stdout", "file"]).await;
        stop.cancel();
        watching.await.unwrap();
        sinks.stop().await;
    }

    #[tokio::test]
    async fn two_sinks_have_two_names() {
        let directory = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["x/a.yaml", "y/a.yaml"].map(|name| directory.path().join(name)).to_vec();
        for path in &paths {
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(path, "stdout: {}\n").unwrap();
        }
        assert!(load(&paths).await.unwrap_err()[0].to_string().contains("there is a sink a already"));
    }
}
