//! Starting the parts, in the order of who needs whom.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{net::TcpListener, sync::watch};

use super::RunError;
use crate::{
    alert_log::{AlertLog, EmbeddedLog, JetStreamLog, MemoryLog},
    bundle::{Bundles, Signer},
    config::{AlertLogConfig, Config},
    grpc::{self, Counters, Listener, Registry, Services},
    http::{self, Exposed},
    identity::{Certificates, Chain, ServiceAccounts, Tokens, create_tokens},
    kube::{
        self, check::Checker, lease::Timing, secrets::ClusterSecrets, sinks::Statuses, status::Pace, webhook,
    },
    policies::{PolicySource, built_in, files::FilesSource},
    secrets::{SecretFiles, SecretStore},
    signing,
    sink::{
        config,
        far_side::nats,
        secrets::{LocalSecrets, Secrets},
        set::Sinks,
    },
    tasks::Tasks,
    tls::TlsServer,
};

/// The service account of agents.
const AGENTS: &str = "vedette-agent";

/// Where policies come from and secrets are kept.
struct Origin {
    policies: Arc<dyn PolicySource>,
    secrets: Arc<dyn SecretStore>,
    chain: Chain,
    /// What else agents may call us, for the certificate.
    names: Vec<String>,
}

/// Starts everything.
///
/// # Errors
/// Something that was given is not usable, or cannot be had.
pub async fn start(config: &Config, tasks: &mut Tasks) -> Result<(), RunError> {
    let exposed = Arc::new(Exposed::default());
    let (known, serving) = (exposed.condition("policies"), exposed.condition("agents' listener"));
    std::fs::create_dir_all(&config.data)
        .map_err(|error| RunError::input(format_args!("cannot use {}: {error}", config.data.display())))?;
    if let Some(address) = config.metrics {
        let listener = http::bind(address)
            .await
            .map_err(|error| RunError::input(format_args!("cannot serve metrics on {address}: {error}")))?;
        let (exposed, stop) = (Arc::clone(&exposed), tasks.stop());
        spawn(tasks, "the metrics server", async move { http::serve(listener, exposed, stop).await });
    }
    let log = open_log(config).await?;
    let (watched, stop) = (Arc::clone(&log), tasks.stop());
    tasks.spawn("the alert log", async move {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            why = watched.died() => Err(why),
        }
    });
    let client = if config.standalone { None } else { Some(connect().await?) };
    let secrets: Arc<dyn Secrets> = match &client {
        None => Arc::new(LocalSecrets),
        Some(client) => Arc::new(ClusterSecrets::new(client.clone(), client.default_namespace())),
    };
    let sinks = start_sinks(config, &log, secrets, &exposed, tasks).await?;
    let origin = match client {
        None => standalone(config, tasks)?,
        Some(client) => cluster(config, client, &sinks, tasks)?,
    };

    let signer = Signer::load(&*origin.secrets).await.map_err(RunError::input)?;
    let bundles = Arc::new(Bundles::new(signer));
    let (store, signed, stop) = (Arc::clone(&origin.secrets), Arc::clone(&bundles), tasks.stop());
    spawn(tasks, "the look at signing keys", signing::maintain(store, signed, stop));
    let tls = if config.plaintext { None } else { Some(start_tls(config, &origin, tasks).await?) };
    if let (Some(address), Some(tls)) = (config.webhook, &tls) {
        let tls = webhook_tls(config, &origin, tls, tasks).await?;
        start_webhook(address, &tls, tasks).await?;
    }
    let registry = Arc::new(Registry::new(config.limits));
    let counters = Counters::default();
    let connected = exposed.register(|metrics| {
        counters.register(metrics);
        grpc::connected_gauge(metrics)
    });
    let (agents, stop) = (Arc::clone(&registry), tasks.stop());
    let mut changes = origin.policies.changes();
    spawn(tasks, "the look at agents", async move {
        let mut tick = tokio::time::interval(Duration::from_secs(2));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            connected.set(agents.connected() as i64);
            known.set(*changes.borrow_and_update() != 0);
        }
    });

    let listener = Listener::bind(&config.listen)
        .await
        .map_err(|error| RunError::input(format_args!("cannot listen on {}: {error}", config.listen)))?;
    let address = listener.address().map_err(RunError::internal)?;
    let services = Services {
        policies: origin.policies,
        log: Arc::clone(&log),
        bundles,
        registry,
        chain: Arc::new(origin.chain),
        limits: config.limits,
        counters,
        about: grpc::About {
            started: jiff::Timestamp::now(),
            standalone: config.standalone,
            alert_log: config.alert_log.kind(),
            sinks: Some(sinks),
        },
        tls,
    };
    let stop = tasks.stop();
    tasks.spawn("the agents' server", async move {
        let served = services.serve(listener, stop).await.map_err(|error| error.to_string());
        log.close().await;
        served
    });
    serving.set(true);
    eprintln!("ready: agents connect to {}{address}", if config.plaintext { "" } else { "TLS " });
    Ok(())
}

/// Opens the log that the settings ask for.
async fn open_log(config: &Config) -> Result<Arc<dyn AlertLog>, RunError> {
    let failed = |error: &dyn std::fmt::Display| RunError::input(format_args!("alertLog: {error}"));
    Ok(match &config.alert_log {
        AlertLogConfig::Embedded(embedded) => {
            let log = EmbeddedLog::open(embedded.options(config.data.join("alerts"))).await;
            Arc::new(log.map_err(|error| failed(&error))?)
        }
        AlertLogConfig::Memory { limit } => Arc::new(MemoryLog::new(*limit)),
        AlertLogConfig::JetStream(there) => {
            let client = nats::connect(&there.urls, there.auth.as_ref(), there.tls.as_ref(), &LocalSecrets);
            let client =
                client.await.map_err(|error| failed(&format_args!("{}: {error}", there.urls.join(", "))))?;
            let log = JetStreamLog::open(client, there.options.clone()).await;
            Arc::new(log.map_err(|error| failed(&error))?)
        }
    })
}

/// Starts a part that does not fail.
fn spawn(tasks: &mut Tasks, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(name, async move {
        part.await;
        Ok(())
    });
}

/// Policies from files, keys in the data directory, tokens from a file.
fn standalone(config: &Config, tasks: &mut Tasks) -> Result<Origin, RunError> {
    let source = FilesSource::open(config.policies.clone(), built_in::sources()).map_err(RunError::input)?;
    let source = Arc::new(source);
    let (watched, stop) = (Arc::clone(&source), tasks.stop());
    tasks.spawn("the watch of policies", async move { watched.watch(stop).await.map_err(|e| e.to_string()) });
    create_tokens(&config.tokens).map_err(RunError::input)?;
    let tokens = Tokens::load(&config.tokens).map_err(RunError::input)?;
    Ok(Origin {
        policies: source,
        secrets: Arc::new(SecretFiles::new(&config.data)),
        chain: Chain::default().with(Certificates).with(tokens),
        names: Vec::new(),
    })
}

/// The way to the API server, by the service account of the pod or by a kubeconfig.
pub(super) async fn connect() -> Result<::kube::Client, RunError> {
    ::kube::Client::try_default()
        .await
        .map_err(|error| RunError::input(format_args!("no cluster to be had ({error}); see --standalone")))
}

/// Policies from the cluster, keys in a Secret, tokens by the API server.
fn cluster(
    config: &Config,
    client: ::kube::Client,
    sinks: &Arc<Sinks>,
    tasks: &mut Tasks,
) -> Result<Origin, RunError> {
    let namespace = client.default_namespace().to_owned();
    let options = kube::Options {
        namespace: namespace.clone(),
        // The pod's name is for people who look at the lease; anything else that nobody else has would do.
        identity: std::env::var("POD_NAME").unwrap_or_else(|_| uuid::Uuid::new_v4().to_string()),
        before: built_in::sources(),
        timing: Timing::default(),
        pace: Pace::default(),
        statuses: statuses(sinks),
    };
    let parts = kube::parts(&client, options, &tasks.stop());
    follow_sinks(config, sinks, parts.sinks, parts.leading, tasks)?;
    for (name, part) in parts.tasks {
        tasks.spawn(name, part);
    }
    let mut chain =
        Chain::default().with(Certificates).with(ServiceAccounts::new(client.clone(), &namespace, AGENTS));
    if config.tokens.exists() {
        chain = chain.with(Tokens::load(&config.tokens).map_err(RunError::input)?);
    }
    let service = "vedette-controller";
    Ok(Origin {
        policies: parts.source,
        secrets: Arc::new(ClusterSecrets::new(client, &namespace)),
        chain,
        names: ["", ".svc", ".svc.cluster.local"]
            .map(|domain| format!("{service}.{namespace}{domain}"))
            .into_iter()
            .chain([service.to_owned()])
            .collect(),
    })
}

async fn start_tls(config: &Config, origin: &Origin, tasks: &mut Tasks) -> Result<Arc<TlsServer>, RunError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let crate::config::Listen::Tcp(address) = &config.listen
        && !address.ip().is_unspecified()
        && !address.ip().is_loopback()
    {
        names.push(address.ip().to_string());
    }
    names.extend(origin.names.iter().cloned());
    names.extend(config.tls_names.iter().cloned());
    let clients = config.client_ca.clone();
    let made = match config.certificate.clone() {
        Some((certificate, key)) => TlsServer::with_certificate(certificate, key, clients).await,
        None => TlsServer::start(Arc::clone(&origin.secrets), names, clients).await,
    };
    Ok(maintain(made.map_err(RunError::input)?, tasks))
}

/// Renews the certificate as long as everything runs.
fn maintain(server: TlsServer, tasks: &mut Tasks) -> Arc<TlsServer> {
    let server = Arc::new(server);
    let (maintained, stop) = (Arc::clone(&server), tasks.stop());
    spawn(tasks, "the renewal of certificates", async move { maintained.maintain(stop).await });
    server
}

/// TLS for the webhook. The API server is told to trust our own authority, whatever certificate agents are shown.
async fn webhook_tls(
    config: &Config,
    origin: &Origin,
    tls: &Arc<TlsServer>,
    tasks: &mut Tasks,
) -> Result<Arc<TlsServer>, RunError> {
    if config.certificate.is_none() {
        return Ok(Arc::clone(tls));
    }
    let made = TlsServer::start(Arc::clone(&origin.secrets), origin.names.clone(), None).await;
    Ok(maintain(made.map_err(RunError::input)?, tasks))
}

/// Serves what the API server asks about objects.
async fn start_webhook(address: SocketAddr, tls: &Arc<TlsServer>, tasks: &mut Tasks) -> Result<(), RunError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| RunError::input(format_args!("cannot serve the webhook on {address}: {error}")))?;
    let tls = Arc::clone(tls);
    let (checker, stop) = (Checker::new(built_in::sources()), tasks.stop());
    spawn(tasks, "the webhook", async move {
        webhook::serve(listener, Arc::new(move || tls.config()), checker, stop).await;
    });
    Ok(())
}

/// Starts the sinks of the files that were given.
async fn start_sinks(
    config: &Config,
    log: &Arc<dyn AlertLog>,
    secrets: Arc<dyn Secrets>,
    exposed: &Exposed,
    tasks: &mut Tasks,
) -> Result<Arc<Sinks>, RunError> {
    let sinks = Sinks::new(Arc::clone(log), config.data.join("dead-letters"), secrets);
    exposed.register(|metrics| sinks.metrics().register(metrics));
    let sinks = Arc::new(sinks);
    // A controller that shares its log and has no sinks must not forget those of another.
    if config.standalone && !(config.alert_log.is_shared() && config.sinks.is_empty()) {
        // In a cluster the others are not known yet, and what is kept for them must stay.
        sinks.apply(read_sinks(config)?).await.map_err(|errors| RunError::input(lines(&errors)))?;
    }
    let (stopped, stop) = (Arc::clone(&sinks), tasks.stop());
    spawn(tasks, "the sinks", async move {
        stop.cancelled().await;
        stopped.stop().await;
    });
    Ok(sinks)
}

/// Says how the sinks do.
fn statuses(sinks: &Arc<Sinks>) -> Statuses {
    let sinks = Arc::clone(sinks);
    Arc::new(move || {
        let sinks = Arc::clone(&sinks);
        async move { sinks.statuses().await }.boxed()
    })
}

/// Runs the sinks that are objects of the cluster, and those of files.
fn follow_sinks(
    config: &Config,
    sinks: &Arc<Sinks>,
    mut wanted: watch::Receiver<Option<Vec<config::NamedSink>>>,
    mut leading: watch::Receiver<bool>,
    tasks: &mut Tasks,
) -> Result<(), RunError> {
    let of_files = read_sinks(config)?;
    // Replicas that share a log would each bring every alert to each sink.
    let shared = config.alert_log.is_shared();
    let (sinks, stop) = (Arc::clone(sinks), tasks.stop());
    spawn(tasks, "the change of sinks", async move {
        loop {
            let known = wanted.borrow_and_update().clone();
            let leads = *leading.borrow_and_update();
            if shared && !leads {
                // The cursors stay for the one that leads.
                sinks.stop().await;
            } else if let Some(of_objects) = known
                && let Err(errors) = sinks.apply(of_files.iter().cloned().chain(of_objects).collect()).await
            {
                tracing::error!("{}", lines(&errors));
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() { return stop.cancelled().await },
                changed = leading.changed(), if shared => if changed.is_err() { return stop.cancelled().await },
            }
        }
    });
    Ok(())
}

fn read_sinks(config: &Config) -> Result<Vec<config::NamedSink>, RunError> {
    config.sinks.iter().map(|path| read_sink(path)).collect()
}

fn read_sink(path: &Path) -> Result<config::NamedSink, RunError> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| RunError::input(format_args!("{name}: {error}")))?;
    config::parse(&name, &text).map_err(|errors| RunError::Input(lines(&errors)))
}

fn lines(errors: &[impl std::fmt::Display]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
