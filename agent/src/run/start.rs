//! Starting: everything is attached before the snapshot is taken, so that nothing falls between the two.

use std::{
    io::IsTerminal,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;
use vedette_event::{
    State, StateLimits,
    alert::{Format, Node},
    decode,
    recording::Header,
};
use vedette_policy::{PolicySet, RuleMatching};

use super::{Parts, RunError, host, lock, report};
use crate::{
    cli, clock,
    config::{Config, DEFAULT_SOCKET, Socket},
    engine::{CgroupChange, Engine},
    hosts::Hosts,
    identity::{Hierarchy, Identity, scopes_of_path},
    names::Names,
    policies::{self, Origin, PolicyError},
    proc::{Proc, ProcError},
    pump::Pump,
    sensor::{Drain, Sensor, SensorError, SensorOptions, self_check},
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
    if let Some(obstacle) = host::obstacle() {
        return Err(RunError::input(obstacle));
    }

    let closed = Arc::new(Notify::new());
    let sinks = Arc::new(start_sinks(config, &closed)?);
    let hierarchy = match Hierarchy::of_host() {
        Ok(hierarchy) => Some(hierarchy),
        Err(error) => {
            tracing::warn!(%error, "containers cannot be told apart");
            None
        }
    };
    let mut sensor = Sensor::load(&SensorOptions {
        state_ring: config.state_ring,
        events_ring: config.events_ring,
        cgroups: u32::try_from(config.max_cgroups).unwrap_or(u32::MAX),
        cgroup_controller: hierarchy.as_ref().and_then(|h| h.controller).map(|c| c.enumerator),
        skip_tgid: std::process::id(),
        ..SensorOptions::default()
    })
    .map_err(RunError::input)?;
    let (state_ring, events_ring) = sensor.take_rings().map_err(RunError::internal)?;
    let plan = policies::plan(&set);
    // From here on the kernel records; the pump holds it until the engine is there.
    let pump = Pump::start(Drain::new(state_ring, events_ring)).map_err(RunError::internal)?;
    sensor.apply(&plan).map_err(RunError::internal)?;

    let mut proc = Proc::default().with_environment(plan.wants_environment());
    if let Some(hierarchy) = &hierarchy {
        proc = proc.with_hierarchy(hierarchy.clone());
    }
    let limits = StateLimits {
        processes: config.max_processes,
        cgroups: config.max_cgroups,
        hierarchy: hierarchy.as_ref().map(|h| h.number),
    };
    let mut state = State::new(limits);
    snapshot(&mut state, &mut sensor, &proc)?;
    for group in hierarchy.iter().flat_map(Hierarchy::walk) {
        state.cgroups.insert(group.id, &group.path);
        sensor.filter().set_scopes(group.id, scopes_of_path(&group.path));
    }

    let stats = Arc::new(Stats::default());
    let sensor = Arc::new(Mutex::new(sensor));
    let clock = clock::wall_clock();
    let node = Node {
        name: config.node_name.clone().unwrap_or_else(|| config.hostname.clone()),
        boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        kubernetes: config.node_name.is_some(),
    };
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
        names: Names::of_host()
            .inspect_err(|error| tracing::warn!(%error, "user names are not looked up"))
            .ok(),
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
    report::degradations(&lock(&sensor), &set);
    let engine = engine.start(set, pump.batches.clone(), pump.recycle.clone()).map_err(RunError::internal)?;
    Ok(Parts {
        sensor,
        pump,
        engine,
        tap_server,
        sinks,
        stats,
        identity: identity_stats,
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

/// Takes note of the processes that are there already.
fn snapshot(state: &mut State, sensor: &mut Sensor, proc: &Proc) -> Result<(), RunError> {
    match sensor.snapshot() {
        Ok(bytes) => {
            let mut keys = Vec::new();
            let mut rest = bytes.as_slice();
            while let Some((record, tail)) = split_record(rest) {
                rest = tail;
                match decode(record) {
                    Ok(record) => {
                        keys.extend(
                            state
                                .apply(&record)
                                .process
                                .and_then(|id| state.processes.get(id))
                                .map(|p| p.key),
                        );
                    }
                    Err(error) => tracing::warn!(%error, "a record of the snapshot could not be decoded"),
                }
            }
            self_check(&state.processes).map_err(|why| RunError::input(SensorError::Offsets(why)))?;
            state.link_parents();
            for key in keys {
                match proc.complete(key) {
                    Ok(process) => {
                        state.complete(process);
                    }
                    // Reaped between the iterator and here; its exit may have been reported before the iterator ran.
                    Err(ProcError::Gone(_) | ProcError::Reused(_)) => {
                        state.processes.exit(key, clock::boottime());
                    }
                    Err(error) => {
                        tracing::debug!(tgid = key.tgid, %error, "a process could not be looked up")
                    }
                }
            }
            if let Err(error) = proc.fill_in(state) {
                tracing::warn!(%error, "processes that the task iterator left out are not known");
            }
        }
        Err(why) => {
            tracing::warn!(why, "the task iterator is not available; processes are read from /proc");
            match proc.snapshot() {
                Ok(processes) => {
                    for process in processes.flatten() {
                        state.complete(process);
                    }
                }
                Err(error) => tracing::warn!(%error, "processes that run already are not known"),
            }
            state.link_parents();
        }
    }
    Ok(())
}

/// Splits the first record off, by the length that it begins with.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    (len > 0).then(|| bytes.split_at_checked(len))?
}
