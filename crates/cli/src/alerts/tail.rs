//! `vedette alerts tail`.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use vedette_event::alert::Format;
use vedette_proto::v1;

use super::filter::FilterArgs;
use super::render::{self, Output};
use crate::console::Console;
use crate::exit::{self, Failure, Verdict};
use crate::remote::{self, RemoteError};

/// Show alerts as they arrive, until Ctrl-C.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// Begin with so many that are there already [default: 10; with --since all from then on].
    #[arg(long, short = 'n', value_name = "N", conflicts_with = "since")]
    lines: Option<u32>,
    /// End after so many alerts.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// End when the connection is lost, instead of connecting again.
    #[arg(long)]
    no_reconnect: bool,
    /// How alerts look [default: text on a terminal, else json].
    #[arg(long, short, value_enum)]
    output: Option<Output>,
    #[command(flatten)]
    remote: remote::ConnectArgs,
}

const AFTER_HELP: &str = "\
Examples:
  vedette alerts tail
  vedette alerts tail --priority critical --namespace shop
  vedette alerts tail --since 10m --output json | jq -r '[.time, .hostname, .rule] | @tsv'

When the connection is lost, it connects again and goes on where it was: nothing is shown twice, and if something was
missed it says how much.";

/// Alerts that are there already, unless told otherwise.
const LINES: u32 = 10;
/// The first wait before another attempt, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Uids that are known again: an alert that an agent sent again can be in the log twice.
const UIDS: usize = 8192;

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> exit::Result {
    let mut tail = Tail {
        args,
        output: Output::of(args.output, console),
        text: console.alert_text(),
        place: None,
        shown: 0,
        recent: Recent::default(),
        was_lost: false,
    };
    remote::runtime()?.block_on(tail.run(console))
}

/// Where we are.
struct Tail<'a> {
    args: &'a Args,
    output: Output,
    text: Format,
    /// Up to where in the log everything was shown.
    place: Option<u64>,
    shown: u64,
    recent: Recent,
    was_lost: bool,
}

impl Tail<'_> {
    async fn run(&mut self, console: &mut Console) -> exit::Result {
        let mut wait = WAITS.0;
        loop {
            let before = self.place;
            let error = match self.session(console).await {
                Ok(()) => return Ok(Verdict::Good),
                Err(Failure::Remote(error)) => error,
                Err(other) => return Err(other),
            };
            // What never worked will hardly do so by itself; and who is told why has to do something about it.
            if self.place.is_none() || self.args.no_reconnect || !error.passes() {
                return Err(error.into());
            }
            if self.place != before {
                wait = WAITS.0;
            }
            if !std::mem::replace(&mut self.was_lost, true) {
                console.say(format_args!("{error}: connecting again"));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }

    /// Reads one stream. Ends well when there were enough.
    async fn session(&mut self, console: &mut Console) -> Result<(), Failure> {
        let controller = self.args.remote.connect().await?;
        let request = v1::TailRequest {
            filter: Some(self.args.filter.filter()),
            backlog: self.args.lines.unwrap_or(LINES),
            after: self.place.or(self.args.filter.has_since().then_some(0)),
            positions: true,
        };
        let mut alerts = controller.alerts();
        let stream = remote::answer(&controller, alerts.tail(request)).await;
        let mut stream = stream?;
        loop {
            let next = stream.message().await.map_err(|status| controller.refused(status))?;
            let Some(response) = next else {
                let why = "the controller has ended the stream".into();
                return Err(RemoteError::Lost { url: self.args.remote.url().clone(), why }.into());
            };
            if std::mem::take(&mut self.was_lost) {
                console.say("connected again");
            }
            self.show(&response, console)?;
            if self.args.limit.is_some_and(|limit| self.shown >= limit) {
                return Ok(());
            }
        }
    }

    fn show(&mut self, response: &v1::TailResponse, console: &mut Console) -> std::io::Result<()> {
        // From the beginning of another log nothing was missed.
        if response.missed > 0 && self.place.is_some_and(|place| place < response.position) {
            console.say(format_args!(
                "{} alerts went from the log before they were read here: all sinks have them",
                response.missed
            ));
        }
        self.place = Some(response.position);
        let Some(alert) = &response.alert else { return Ok(()) };
        if self.recent.is_new(&alert.uid) {
            console.write(&render::line(response, self.output, self.text))?;
            // Each when it comes, also in a pipe.
            console.flush()?;
            self.shown += 1;
        }
        Ok(())
    }
}

/// The uids that were shown last.
#[derive(Default)]
struct Recent {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Recent {
    fn is_new(&mut self, uid: &str) -> bool {
        if uid.is_empty() {
            return true;
        }
        if !self.known.insert(uid.to_owned()) {
            return false;
        }
        self.order.push_back(uid.to_owned());
        if self.order.len() > UIDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_new_once_and_not_kept_for_ever() {
        let mut recent = Recent::default();
        assert!(recent.is_new("a") && !recent.is_new("a"));
        assert!(recent.is_new("") && recent.is_new(""), "without one, nothing is known again");
        for number in 0..UIDS {
            assert!(recent.is_new(&number.to_string()));
        }
        assert!(recent.is_new("a"));
        assert_eq!(recent.known.len(), UIDS);
    }
}
