//! `vedette-agent events`: what processes do, event by event, as rules see it.
//!
//! What is asked for becomes a set of one rule. That set says what the kernel reports, just as in a run, and the rule
//! picks what is printed.

mod args;
mod arguments;
mod follow;
mod json;
mod kinds;
mod select;
mod text;

#[cfg(test)]
mod tests;

use std::{
    io::{self, BufWriter, IsTerminal},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot;
use vedette_policy::{Evaluator, EventType, RuleMatching, pipeline::Pipeline};

pub use args::{EVENTS_HELP, EventsArgs, Look};
pub use kinds::Asked;

use self::{
    follow::{End, Ended, Follow, Printer},
    select::Selection,
    text::Text,
};
use crate::{
    config::Config,
    hosts::Hosts,
    policies,
    run::{
        RunError, Signals,
        attach::{AttachOptions, Attached, attach},
        degraded, host, lock, report,
    },
};

/// How long what is left may take to be printed once the end was asked for.
const FLUSH: Duration = Duration::from_millis(1500);

/// Prints events until asked to end, enough have come, or nobody reads any more.
///
/// # Errors
/// What was given is not usable, or a part failed.
pub fn events(args: EventsArgs) -> Result<(), RunError> {
    report::start_logging(args.log.filter());
    let selection = select::select(&args, io::stderr().is_terminal())?;
    eprint!("{}", selection.notes);
    host::check()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::internal)?;
    runtime.block_on(async {
        // Before anything is started, so that an early Ctrl-C ends the start in order, too.
        let mut signals = Signals::new().map_err(RunError::internal)?;
        watch(&args, selection, &mut signals).await
    })
}

async fn watch(args: &EventsArgs, selection: Selection, signals: &mut Signals) -> Result<(), RunError> {
    // The bounds of a run.
    let defaults = Config::load(Default::default()).map_err(RunError::internal)?;
    let plan = policies::plan(&selection.set);
    let options = AttachOptions {
        state_ring: defaults.state_ring,
        events_ring: args.events_ring,
        max_processes: defaults.max_processes,
        max_cgroups: defaults.max_cgroups,
        node: defaults.hostname,
        kubernetes: false,
    };
    let Attached { sensor, pump, state, proc, names, clock, node, .. } = attach(&options, &plan)?;
    for sentence in degraded::sentences(&lock(&sensor), &selection.set, degraded::IdentitySources::default())
    {
        eprintln!("not available: {sentence}");
    }
    let (_, unavailable) = report::program_counts(&lock(&sensor));
    eprintln!("ready: {}; {unavailable} programs not available; Ctrl-C ends", watched(&selection));

    let pipeline = Pipeline::new(state, clock, node, RuleMatching::All);
    let evaluator = evaluator(&selection);
    let out = Stdout::open().map_err(RunError::internal)?;
    let look = args.output.unwrap_or(if out.is_terminal { Look::Text } else { Look::Json });
    let printer =
        Printer::new(look, Text::new(out.colour, args.width), args.fields.clone(), selection.records);
    let follow = Follow::new(pipeline, proc, names, evaluator, printer, Arc::clone(&sensor), out, args.count);
    let (done, mut ended) = oneshot::channel();
    let (batches, recycle) = (pump.batches.clone(), pump.recycle.clone());
    std::thread::Builder::new()
        .name("vedette-events".into())
        .spawn(move || {
            // Nobody waits for it any more: it was given up on.
            let _ = done.send(follow.run(&batches, &recycle));
        })
        .map_err(RunError::internal)?;

    let result = tokio::select! {
        result = &mut ended => Some(result),
        () = signals.end() => None,
    };
    lock(&sensor).detach_all();
    pump.finish();
    let result = match result {
        Some(result) => Some(result),
        // What is in the rings is printed, unless whoever should read it does not.
        None => tokio::time::timeout(FLUSH, ended).await.ok(),
    };
    let Some(result) = result else { return Ok(()) };
    let ended = result.map_err(|_| RunError::Internal("the thread that prints panicked".into()))?;
    let untold = lock(&sensor).pending_gaps().map(|gaps| follow::untold(&gaps)).unwrap_or(0);
    conclude(ended, untold)
}

/// Says how it ended, unless nobody wants to know.
fn conclude(ended: Ended, untold: u64) -> Result<(), RunError> {
    let lost = ended.lost + untold;
    match ended.end {
        End::Closed => return Ok(()),
        End::Failed(error) => return Err(RunError::input(format_args!("cannot write: {error}"))),
        End::Stopped | End::Counted => {}
    }
    eprintln!("ended: {} events printed, {lost} records lost", ended.printed);
    Ok(())
}

fn evaluator(selection: &Selection) -> Evaluator {
    let evaluator = Evaluator::new(Arc::clone(&selection.set));
    let wanted = selection.set.needs().hosts;
    if wanted.is_empty() {
        return evaluator;
    }
    match Hosts::start() {
        Ok(hosts) => {
            hosts.want(wanted);
            evaluator.with_resolver(Arc::new(hosts))
        }
        Err(error) => {
            tracing::warn!(%error, "hosts that the condition names are not looked up");
            evaluator
        }
    }
}

/// What is asked for, in a few words.
fn watched(selection: &Selection) -> String {
    const SHOWN: usize = 6;
    let types = selection.types.iter().map(EventType::name);
    let all: Vec<&str> = types.chain(selection.records.iter().map(|kind| kind.name())).collect();
    match all.len().checked_sub(SHOWN) {
        Some(more) if more > 1 => format!("{} and {more} more", all[..SHOWN].join(", ")),
        _ => all.join(", "),
    }
}

/// Standard output.
struct Stdout {
    out: BufWriter<std::fs::File>,
    is_terminal: bool,
    colour: bool,
}

impl Stdout {
    fn open() -> io::Result<Self> {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let wanted = anstyle_query::clicolor_force() || (is_terminal && anstyle_query::term_supports_color());
        // Not `io::Stdout`, which flushes each line.
        let out = BufWriter::with_capacity(64 << 10, stdout.as_fd().try_clone_to_owned()?.into());
        Ok(Self { out, is_terminal, colour: wanted && !anstyle_query::no_color() })
    }
}

impl io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl AsFd for Stdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.out.get_ref().as_fd()
    }
}
