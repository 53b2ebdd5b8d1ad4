//! Starting the agent: policies, then the node under watch, then the engine and everything around it.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;
use vedette_event::{alert::Format, recording::Header};
use vedette_policy::{PolicySet, RuleMatching};

use super::{
    Parts, RunError,
    attach::{self, AttachOptions, Attached},
    degraded::IdentitySources,
    host, lock, report,
};
use crate::{
    cli,
    config::{Config, DEFAULT_SOCKET, Socket},
    engine::{CgroupChange, Engine},
    hosts::Hosts,
    identity::{Identity, scopes_of_path},
    policies::{self, Origin, PolicyError},
    sink::{Destination, SinkConfig, Sinks},
    stats::Stats,
    tap::{Server, Tap},
};

/// Starts everything.
///
/// # Errors
/// A policy, a setting or this host is not as needed, or a thread could not be had.
pub fn start(config: &Config) -> Result<Parts, RunError> {
    let origin = Origin::of(config);
    let (set, warnings) = origin.load(std::io::stderr().is_terminal()).map_err(|error| match error {
        // Findings name files themselves.
        PolicyError::Invalid(text) => RunError::Input(text),
        error @ PolicyError::Read(_) => RunError::input(error),
    })?;
    eprint!("{warnings}");

    host::check()?;
    let closed = Arc::new(Notify::new());
    let sinks = Arc::new(start_sinks(config, &closed)?);
    let plan = policies::plan(&set);
    let Attached { sensor, pump, state, limits, proc, names, clock, node } = attach::attach(
        &AttachOptions {
            state_ring: config.state_ring,
            events_ring: config.events_ring,
            max_processes: config.max_processes,
            max_cgroups: config.max_cgroups,
            node: config.node_name.clone().unwrap_or_else(|| config.hostname.clone()),
            kubernetes: config.node_name.is_some(),
        },
        &plan,
    )?;
    let stats = Arc::new(Stats::default());
    let identity = start_identity(config);
    let identity_stats = Arc::clone(&identity.stats);
    let header = Header { agent: env!("CARGO_PKG_VERSION").to_owned(), ..Header::new(&node, clock, limits) };
    let (tap_server, tap) = start_tap(&config.socket, header)?;
    let engine = Engine {
        state,
        clock,
        node,
        hosts: Hosts::start()
            .inspect_err(|error| tracing::warn!(%error, "hosts that rules name are not looked up"))
            .ok()
            .map(Arc::new),
        names,
        proc,
        sinks: Arc::clone(&sinks),
        stats: Arc::clone(&stats),
        on_cgroup: {
            let sensor = Arc::clone(&sensor);
            Box::new(move |change| match change {
                CgroupChange::Made(id, path) => lock(&sensor).filter().set_scopes(id, scopes_of_path(&path)),
                CgroupChange::Removed(id) => lock(&sensor).filter().remove_scopes(id),
            })
        },
        matching: match config.rule_matching {
            cli::RuleMatching::All => RuleMatching::All,
            cli::RuleMatching::First => RuleMatching::First,
        },
        tap,
        identity,
    };
    let rules = Arc::new(AtomicUsize::new(0));
    rules.store(active_rules(&set), Relaxed);
    let asked = IdentitySources::of(config.identity.as_ref());
    report::degradations(&lock(&sensor), &set, asked);
    let engine = engine.start(set, pump.batches.clone(), pump.recycle.clone()).map_err(RunError::internal)?;
    Ok(Parts {
        sensor,
        pump,
        engine,
        tap_server,
        sinks,
        stats,
        identity: identity_stats,
        asked,
        origin,
        rules,
        closed,
    })
}

/// Rules that are on.
pub fn active_rules(set: &PolicySet) -> usize {
    set.rules().iter().filter(|r| r.is_active()).count()
}

/// Starts asking about containers. Without, everything else goes on.
fn start_identity(config: &Config) -> Identity {
    let Some(settings) = &config.identity else { return Identity::off() };
    if let Some(pods) = &settings.pods {
        tracing::info!(node = pods.node, "pods of this node are watched");
    }
    Identity::start(settings.clone()).unwrap_or_else(|error| {
        tracing::warn!(%error, "degraded: nobody can be asked about containers");
        Identity::off()
    })
}

/// Serves recorders. A socket that was asked for must be had; the usual one need not.
fn start_tap(socket: &Socket, header: Header) -> Result<(Option<Server>, Tap), RunError> {
    let path = match socket {
        Socket::None => return Ok((None, Tap::off())),
        Socket::Default => DEFAULT_SOCKET.as_ref(),
        Socket::Path(path) => path.as_path(),
    };
    match Server::start(path, header) {
        Ok((server, joins)) => Ok((Some(server), Tap::new(joins))),
        Err(error) if *socket == Socket::Default => {
            tracing::warn!("nobody can record: {error}");
            Ok((None, Tap::off()))
        }
        Err(error) => Err(RunError::input(error)),
    }
}

fn start_sinks(config: &Config, closed: &Arc<Notify>) -> Result<Sinks, RunError> {
    let format = config.output.map(|output| match output {
        cli::Output::Text => Format::Text { color: false },
        cli::Output::Json => Format::Json,
        cli::Output::Ocsf => Format::Ocsf,
    });
    let configs =
        config.alerts.iter().map(|path| SinkConfig::new(Destination::from(path.as_path()), format)).collect();
    let closed = Arc::clone(closed);
    Sinks::start(configs, Arc::new(move |_| closed.notify_one())).map_err(RunError::input)
}
