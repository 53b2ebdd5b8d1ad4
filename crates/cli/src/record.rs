//! `vedette record`.

mod file;
mod source;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use vedette_event::recording::{Blocks, Frame, Frames, Item, RecordingError};

use self::file::Output;
use self::source::Source;
use crate::console::Console;
use crate::exit::{self, Failure, Verdict};

/// Record the events that the agent on this host sees, to replay them later.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The file to write.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
    /// The socket of the agent.
    #[arg(long, value_name = "PATH", default_value = "/run/vedette/agent.sock")]
    socket: PathBuf,
    /// How long to record, such as 30s, 5m or 1h; without it, until Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Add to the file instead of replacing it. If it was cut, it goes on after the last whole block.
    #[arg(long)]
    append: bool,
}

const AFTER_HELP: &str = "\
Examples:
  vedette record -o host.vrec --duration 5m
  vedette record -o host.vrec --append              go on with the same file
  vedette replay host.vrec --policy my.yaml

The agent must be running, and its socket open to you (root, unless it was started with --socket elsewhere). It
records what it sees: the kinds of events that its policies ask for. The file holds command lines and paths, and
environments where a policy asks for them; only you may read it.";

/// How often the progress is shown.
const PROGRESS: Duration = Duration::from_secs(1);

/// What was recorded.
#[derive(Default)]
struct Counts {
    records: u64,
    lost: u64,
    bytes: u64,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let input = |error: String| Failure::Input(error);
    let source = Source::connect(&args.socket, args.duration).map_err(input)?;
    let stop = source.stop();
    let mut output = Output::open(&args.out, args.append).map_err(input)?;
    let mut blocks = Blocks::new(source);
    let mut counts = Counts::default();
    let started = Instant::now();
    let mut shown = started;
    let ending = loop {
        let frames = match blocks.next_item() {
            Ok(Some(Item::Header(_))) => None,
            Ok(Some(Item::Block(payload))) => Some(count(payload, &mut counts)),
            // Told to stop, or the agent went away: what is whole is kept.
            Ok(None) | Err(RecordingError::Cut { .. }) => break Ending::Unfinished,
            Err(RecordingError::NotARecording) => break Ending::Failed(blocks_refusal(&blocks)),
            Err(error) => break Ending::Failed(error.to_string()),
        };
        output.write(blocks.raw())?;
        counts.bytes += blocks.raw().len() as u64;
        if frames == Some(true) {
            break Ending::Complete;
        }
        if shown.elapsed() >= PROGRESS {
            shown = Instant::now();
            console.progress(progress(&counts, started.elapsed()));
        }
    };
    console.progress_end();
    let written = blocks.offset() > 0;
    if let (Ending::Unfinished, true) = (&ending, written) {
        output.finish()?;
    }
    output.sync()?;
    let summary = format!("{}, to {}", progress(&counts, started.elapsed()), args.out.display());
    match ending {
        Ending::Failed(why) => Err(Failure::Input(format!("{}: {why}", args.socket.display()))),
        Ending::Unfinished if !stop.is_set() => {
            console.say(format_args!("the agent went away; {summary}"));
            Ok(Verdict::from_good(written))
        }
        _ => {
            console.say(format_args!("recorded {summary}"));
            Ok(Verdict::Good)
        }
    }
}

enum Ending {
    /// The agent said that it ends.
    Complete,
    /// No more comes.
    Unfinished,
    Failed(String),
}

/// Counts what is in a block. True if it is the last.
fn count(payload: &[u8], counts: &mut Counts) -> bool {
    let mut frames = Frames::new(payload);
    let mut last = false;
    while let Ok(Some(frame)) = frames.next_frame() {
        match frame {
            Frame::Record(_) => counts.records += 1,
            Frame::Lost { records, .. } => counts.lost += records,
            Frame::End => last = true,
            _ => {}
        }
    }
    last
}

/// What the agent says when it does not record, if that is it.
fn blocks_refusal(blocks: &Blocks<Source>) -> String {
    let said = String::from_utf8_lossy(blocks.raw()).into_owned() + &blocks.get_ref().rest();
    let value: Option<serde_json::Value> = serde_json::from_str(said.trim()).ok();
    match value.as_ref().and_then(|v| v.get("error")).and_then(|v| v.as_str()) {
        Some(error) => format!("the agent says: {error}"),
        None => "what answers there is not the agent".to_owned(),
    }
}

fn progress(counts: &Counts, time: Duration) -> String {
    let Counts { records, lost, bytes } = counts;
    let seconds = time.as_secs();
    format!("{records} events in {seconds} s, {}, {lost} lost", size(*bytes))
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is not a time such as 30s or 5m"))?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "" | "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        other => return Err(format!("unknown unit `{other}`: use ms, s, m or h")),
    };
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "s", "5d", "-1s", "1.5s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
