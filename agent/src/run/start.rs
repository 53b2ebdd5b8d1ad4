//! Starting the agent: policies, then the node under watch, then the engine and everything around it.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::{Notify, mpsc, watch};
use vedette_event::{alert::Format, recording::Header};
use vedette_policy::{PolicySet, RuleMatching};

use super::{
    Parts, RunError,
    attach::{self, AttachOptions, Attached},
    degraded::IdentitySources,
    host, lock, report, states,
};
use crate::{
    cli,
    config::{Config, DEFAULT_SOCKET, Socket},
    engine::{CgroupChange, Engine},
    hosts::Hosts,
    identity::{Identity, scopes_of_path},
    policies::{self, Origin, PolicyError},
    sink::{Destination, SPOOL, SinkConfig, Sinks},
    spool::{Limits, Spool},
    stats::Stats,
    tap::{Server, Tap},
    uplink::{self, Bundle, Connected, Effective, Offer, Uplink, UplinkSettings},
};

/// Starts everything.
///
/// # Errors
/// A policy, a setting or this host is not as needed, or a thread could not be had.
pub fn start(config: &Config) -> Result<Parts, RunError> {
    let origin = Origin::of(config);
    let mut link = config.uplink.as_ref().map(Link::open).transpose()?;
    let (set, own) = load(&origin, &mut link)?;

    host::check()?;
    let closed = Arc::new(Notify::new());
    let mut sinks = start_sinks(config, &closed)?;
    if let Some(link) = &link {
        sinks.add_spool(Arc::clone(&link.spool), link.settings.sync).map_err(RunError::internal)?;
    }
    let sinks = Arc::new(sinks);
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
    let node_name = node.name.clone();
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
    let uplink = match link {
        None => None,
        Some(link) => {
            let effective = states::effective(link.bundle.as_deref(), &set, own, &plan, asked);
            Some(link.connect(node_name, effective, reported(&sensor, &sinks))?)
        }
    };
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
        uplink,
    })
}

/// Loads the policies, with those of the kept bundle. If these are not good any more, it starts without them.
fn load(origin: &Origin, link: &mut Option<Link>) -> Result<(Arc<PolicySet>, usize), RunError> {
    let colour = std::io::stderr().is_terminal();
    let kept = link.as_ref().and_then(|link| link.bundle.as_ref()).map(|bundle| bundle.sources());
    if let Some(sources) = kept {
        match origin.load_with(sources, colour) {
            Ok((set, warnings, own)) => {
                eprint!("{warnings}");
                return Ok((set, own));
            }
            Err(error) => {
                tracing::error!(%error, "the policies that the controller gave last are not used");
                if let Some(link) = link {
                    link.bundle = None;
                }
            }
        }
    }
    let (set, warnings, own) = origin.load_with(Vec::new(), colour).map_err(|error| match error {
        // Findings name files themselves.
        PolicyError::Invalid(text) => RunError::Input(text),
        error @ PolicyError::Read(_) => RunError::input(error),
    })?;
    eprint!("{warnings}");
    Ok((set, own))
}

/// What is there of the way to the controller before anything else is.
struct Link {
    settings: UplinkSettings,
    spool: Arc<Spool>,
    store: uplink::Store,
    bundle: Option<Arc<Bundle>>,
}

/// The way to the controller.
pub struct Linked {
    /// What is sent.
    pub spool: Arc<Spool>,
    connected: Connected,
    /// New bundles.
    pub offers: mpsc::Receiver<Offer>,
    /// What runs.
    pub effective: watch::Sender<Effective>,
    /// The bundle that runs.
    pub bundle: Option<Arc<Bundle>>,
}

impl Link {
    fn open(settings: &UplinkSettings) -> Result<Self, RunError> {
        let store = uplink::Store::open(&settings.data).map_err(|error| {
            RunError::input(format_args!("cannot use {}: {error}", settings.data.display()))
        })?;
        let spool = Spool::open(&settings.data.join("spool"), Limits::of(settings.spool_bytes))
            .map_err(RunError::input)?;
        let bundle = store.load(settings.signing_key.as_deref()).map(Arc::new);
        Ok(Self { settings: settings.clone(), spool: Arc::new(spool), store, bundle })
    }

    fn connect(
        self,
        node: String,
        effective: Effective,
        reported: uplink::Reported,
    ) -> Result<Linked, RunError> {
        let (offers, received) = mpsc::channel(1);
        let (effective, seen) = watch::channel(effective);
        let spool = Arc::clone(&self.spool);
        let connected = Uplink {
            settings: self.settings,
            node,
            spool: self.spool,
            store: self.store,
            running: self.bundle.clone(),
            offers,
            effective: seen,
            reported,
        }
        .start()
        .map_err(RunError::input)?;
        Ok(Linked { spool, connected, offers: received, effective, bundle: self.bundle })
    }
}

impl Linked {
    /// How the uplink does.
    pub fn stats(&self) -> Arc<uplink::UplinkStats> {
        Arc::clone(&self.connected.stats)
    }

    /// Whether it has ended on its own.
    pub fn has_ended(&self) -> bool {
        self.connected.has_ended()
    }

    /// Ends it.
    pub fn finish(self) {
        drop(self.offers);
        self.connected.finish();
    }
}

/// What the agent says of itself to the controller.
fn reported(sensor: &super::SharedSensor, sinks: &Arc<Sinks>) -> uplink::Reported {
    let capabilities = {
        let sensor = lock(sensor);
        let programs = sensor.programs().iter().map(|program| {
            let reason = program.degradation();
            (program.program.name.to_owned(), reason)
        });
        let named = programs.map(|(name, reason)| vedette_proto::v1::Capability {
            name,
            available: reason.is_none(),
            reason: reason.unwrap_or_default(),
        });
        named.collect()
    };
    let (sensor, sinks) = (Arc::clone(sensor), Arc::clone(sinks));
    let losses = move || {
        let lost = lock(&sensor).counters().map(|counters| counters.total().ring_full).unwrap_or_default();
        let events = [("kernel".to_owned(), lost)].into_iter().filter(|(_, lost)| *lost > 0).collect();
        let dropped = sinks.stats().into_iter().map(|sink| {
            // What the spool itself gave up is in its own book.
            let told = if sink.name == SPOOL { sink.errors } else { 0 };
            (sink.name, sink.dropped.saturating_sub(told))
        });
        uplink::Losses { events, alerts: dropped.filter(|(_, dropped)| *dropped > 0).collect() }
    };
    uplink::Reported { capabilities, losses: Box::new(losses) }
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
