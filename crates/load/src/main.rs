//! Thousands of simulated agents in one process, against a controller that runs: `cargo xtask bench controller` builds
//! and starts both.
//!
//! Each agent has a TLS connection of its own and all the calls that a real one makes; it loads no policies and has no
//! disk. What was measured is a JSON object on a line of stdout for each phase.

#![allow(clippy::print_stdout, reason = "its output is for a program")]

mod agent;
mod alert;
mod connect;
mod figures;
mod policy;

use std::{collections::HashSet, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use agent::{Agent, Command, Common, Event, Sending};
use figures::Figures;

/// Longest time for a phase, beside the time for which it is to last.
const PATIENCE: Duration = Duration::from_secs(120);
/// Descriptors that are no connections.
const OTHERS: u64 = 64;
/// Reasons of failures that are shown.
const REASONS: usize = 5;

/// Simulates agents.
#[derive(Parser)]
struct Args {
    /// Where the controller listens.
    #[arg(long)]
    address: Option<SocketAddr>,
    /// Its authority.
    #[arg(long, default_value = "ca.pem")]
    ca: PathBuf,
    /// The policy file that is changed.
    #[arg(long, default_value = "round.yaml")]
    policy: PathBuf,
    /// How many agents.
    #[arg(long, default_value_t = 5000)]
    agents: usize,
    /// Changes of the policy.
    #[arg(long, default_value_t = 5)]
    changes: u32,
    /// Alerts per second of all agents together.
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// Alerts of a batch.
    #[arg(long, default_value_t = 20)]
    batch: usize,
    /// For so many seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How often all connections are cut.
    #[arg(long, default_value_t = 3)]
    cuts: u32,
    /// Alerts that each agent has then.
    #[arg(long, default_value_t = 100)]
    backlog: usize,
    /// Write the tokens of the agents, as the controller reads them, and end.
    #[arg(long)]
    tokens: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.tokens {
        for (node, token) in (0..args.agents).map(agent::credentials) {
            println!("agent {node} {token}");
        }
        return Ok(());
    }
    raise_limit(args.agents as u64 + OTHERS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&args))
}

/// Each connection is an open file.
fn raise_limit(wanted: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < wanted) {
        bail!("{wanted} open files are needed, and {:?} are allowed (ulimit -Hn)", limit.maximum);
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

/// The agents, and what they tell.
struct Load {
    count: usize,
    command: watch::Sender<Command>,
    events: mpsc::UnboundedReceiver<(usize, Event)>,
    policy: PathBuf,
    round: u32,
}

/// What a phase has seen.
#[derive(Default)]
struct Seen {
    up: HashSet<usize>,
    up_at: Vec<Instant>,
    runs: HashSet<usize>,
    runs_at: Vec<Instant>,
    sent: HashSet<usize>,
    acknowledged: usize,
    last_acknowledged: Option<Instant>,
    lags: Vec<Duration>,
    failures: usize,
    reasons: Vec<String>,
}

async fn run(args: &Args) -> Result<()> {
    let address = args.address.context("--address is needed")?;
    let target = connect::Target::new(address, &args.ca)?;
    let (sender, events) = mpsc::unbounded_channel();
    let first = Command { cut: CancellationToken::new(), backlog: 0, sending: None };
    let (command, commands) = watch::channel(first);
    let common = Arc::new(Common { target, events: sender, command: commands });
    let mut load = Load { count: args.agents, command, events, policy: args.policy.clone(), round: 0 };

    begin("connect");
    let start = Instant::now();
    for number in 0..args.agents {
        tokio::spawn(Agent::new(Arc::clone(&common), number).run());
    }
    let seen = load.wait(PATIENCE, |seen| seen.up.len() == args.agents).await?;
    end("connect", &seen, json!({ "up": Figures::since(start, &seen.up_at) }));

    for _ in 0..args.changes {
        begin("change");
        let (start, seen) = load.change(|_| true).await?;
        end("change", &seen, json!({ "runs": Figures::since(start, &seen.runs_at) }));
    }

    if args.seconds > 0 {
        begin("alerts");
        let (start, seen) = load.send(args).await?;
        let time = seen.last_acknowledged.map_or(Duration::ZERO, |last| last - start);
        let offered = u64::from(args.rate) * args.seconds;
        end(
            "alerts",
            &seen,
            json!({
                "offered": offered,
                "acknowledged": seen.acknowledged,
                "seconds": time.as_secs_f64(),
                "lag": Figures::of(&seen.lags),
            }),
        );
    }

    for _ in 0..args.cuts {
        begin("cut");
        load.command.send_modify(|command| command.backlog = args.backlog);
        let start = Instant::now();
        let old = load.command.borrow().cut.clone();
        load.command.send_modify(|command| {
            (command.cut, command.sending) = (CancellationToken::new(), None);
        });
        old.cancel();
        let count = args.agents;
        let up = |seen: &Seen| seen.up.len() == count && (args.backlog == 0 || seen.sent.len() == count);
        let (_, seen) = load.change(up).await?;
        end(
            "cut",
            &seen,
            json!({
                "up": Figures::since(start, &seen.up_at),
                "runs": Figures::since(start, &seen.runs_at),
                "acknowledged": seen.acknowledged,
                "drained": seen.last_acknowledged.map(|last| (last - start).as_secs_f64()),
            }),
        );
    }
    Ok(())
}

impl Load {
    /// Changes the policy, and waits until all run it and the rest is as it shall be.
    async fn change(&mut self, rest: impl Fn(&Seen) -> bool) -> Result<(Instant, Seen)> {
        self.round += 1;
        let start = Instant::now();
        policy::write(&self.policy, self.round)?;
        let count = self.count;
        let seen = self.wait(PATIENCE, |seen| seen.runs.len() == count && rest(seen)).await?;
        Ok((start, seen))
    }

    /// Sends alerts, and waits until they are acknowledged.
    async fn send(&mut self, args: &Args) -> Result<(Instant, Seen)> {
        // Who hears of it last begins in time all the same.
        let start = Instant::now() + Duration::from_millis(500);
        let time = Duration::from_secs(args.seconds);
        let interval = Duration::from_secs_f64(self.count as f64 * args.batch as f64 / f64::from(args.rate));
        let sending = Sending { time: (start, start + time), batch: args.batch, interval };
        self.command.send_modify(|command| command.sending = Some(sending));
        let count = self.count;
        let seen = self.wait(time + PATIENCE, |seen| seen.sent.len() == count).await?;
        Ok((start, seen))
    }

    /// Takes in events until it is as it shall be.
    async fn wait(&mut self, patience: Duration, done: impl Fn(&Seen) -> bool) -> Result<Seen> {
        let deadline = Instant::now() + patience;
        let mut seen = Seen::default();
        while !done(&seen) {
            let Ok(event) = timeout_at(deadline, self.events.recv()).await else {
                bail!(
                    "of {} agents {} are up, {} run round {}, {} have sent all; {} failures, such as {:?}",
                    self.count,
                    seen.up.len(),
                    seen.runs.len(),
                    self.round,
                    seen.sent.len(),
                    seen.failures,
                    seen.reasons
                );
            };
            let (number, event) = event.context("all agents have ended")?;
            self.take_in(&mut seen, number, event);
        }
        Ok(seen)
    }

    fn take_in(&self, seen: &mut Seen, number: usize, event: Event) {
        match event {
            Event::Up if seen.up.insert(number) => seen.up_at.push(Instant::now()),
            Event::Runs(round, at) if round == self.round && seen.runs.insert(number) => {
                seen.runs_at.push(at);
            }
            Event::Up | Event::Runs(..) => {}
            Event::Acknowledged(count, lag) => {
                seen.acknowledged += count;
                seen.lags.push(lag);
                seen.last_acknowledged = Some(Instant::now());
            }
            Event::Sent => _ = seen.sent.insert(number),
            Event::Failed(why) => {
                seen.failures += 1;
                if seen.reasons.len() < REASONS && !seen.reasons.contains(&why) {
                    seen.reasons.push(why);
                }
            }
        }
    }
}

fn begin(phase: &str) {
    println!("{}", json!({ "phase": phase, "event": "begin" }));
}

fn end(phase: &str, seen: &Seen, mut figures: Value) {
    figures["phase"] = phase.into();
    figures["event"] = "end".into();
    figures["failures"] = seen.failures.into();
    figures["reasons"] = seen.reasons.clone().into();
    println!("{figures}");
}
