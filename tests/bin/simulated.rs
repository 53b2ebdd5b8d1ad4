//! The processes that the tests of faults kill: agents without a kernel, and a far side.

#![allow(clippy::unwrap_used, reason = "what cannot go on has failed, and the test says so")]

use std::{
    convert::Infallible,
    io::{self, BufRead as _, Write as _},
    net::Ipv4Addr,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use vedette_agent::{
    sink::SyncPolicy,
    spool::{Appended, Limits, Spool},
    uplink::{Authority, Credentials, Effective, Losses, Reported, Store, Uplink, UplinkSettings},
};
use vedette_e2e::simulated::{Done, alert, node_name};

/// One of the two.
#[derive(Parser)]
enum Cli {
    /// An agent that makes alerts as it is told on its input.
    Agent(Agent),
    /// A far side that writes the alerts it is given, one a line, before it says that it has them.
    Sink {
        /// Where it listens.
        port: u16,
    },
}

#[derive(clap::Args)]
struct Agent {
    #[arg(long)]
    node: u32,
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    url: String,
    #[arg(long)]
    ca: PathBuf,
    #[arg(long)]
    token: PathBuf,
    /// Most bytes of the spool, and of a segment.
    #[arg(long)]
    spool: u64,
    #[arg(long)]
    segment: u64,
}

fn main() {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    match Cli::parse() {
        Cli::Agent(agent) => agent.run(),
        Cli::Sink { port } => sink(port),
    }
}

impl Agent {
    fn run(self) {
        let store = Store::open(&self.data).unwrap();
        let limits = Limits { bytes: self.spool, segment: self.segment };
        let spool = Arc::new(Spool::open(&self.data.join("spool"), limits).unwrap());
        let running = store.load(None).map(Arc::new);
        let (offers, mut offered) = mpsc::channel(1);
        let (effective, seen) = watch::channel(Effective::default());
        let credentials = Credentials {
            ca: Some(Authority { file: self.ca, config_map: None }),
            token: Some(self.token),
            certificate: None,
        };
        let settings = UplinkSettings {
            url: self.url.parse().unwrap(),
            credentials,
            signing_key: None,
            data: self.data,
            spool_bytes: self.spool,
            sync: SyncPolicy::Always,
        };
        let reported = Reported { capabilities: Vec::new(), losses: Box::new(Losses::default) };
        let (node, sent) = (node_name(self.node), Arc::clone(&spool));
        let uplink =
            Uplink { settings, node, spool: sent, store, running, offers, effective: seen, reported };
        let connected = uplink.start().unwrap();
        std::thread::spawn(move || {
            while let Some(offer) = offered.blocking_recv() {
                let running = offer.bundle.digest.clone();
                println!("bundle {running}");
                effective.send_replace(Effective { running, policies: Vec::new() });
                let _ = offer.reply.send(Ok(()));
            }
        });
        println!("ready");
        for line in io::stdin().lock().lines() {
            let line = line.unwrap();
            let numbers: Vec<u64> = line.split(' ').skip(1).map(|word| word.parse().unwrap()).collect();
            let [first, count, batch] = numbers[..] else { panic!("not understood: {line}") };
            add(&spool, self.node, first..first + count, batch);
        }
        connected.finish();
        spool.close();
    }
}

fn add(spool: &Spool, node: u32, indices: std::ops::Range<u64>, batch: u64) {
    let mut next = indices.start;
    while next < indices.end {
        let mut done = String::new();
        for index in next..(next + batch).min(indices.end) {
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
            let (sequence, kept) = match spool.add_raw(&alert(node, index, time), time) {
                Appended::Kept(sequence) => (sequence, true),
                Appended::Shed(sequence) => (sequence, false),
            };
            done += &(Done { index, sequence, time, kept }.line() + "\n");
        }
        // Said only now: what is not durable yet may be lost with us.
        spool.commit(true);
        let mut out = io::stdout().lock();
        out.write_all(done.as_bytes()).unwrap();
        out.flush().unwrap();
        next += batch;
    }
}

fn sink(port: u16) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        println!("ready");
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // One connection is as good as many; an error is a client that has gone.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(take)));
        }
    });
}

async fn take(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = match request.into_body().collect().await {
        Ok(body) => {
            let alerts: Vec<Value> = serde_json::from_slice(&body.to_bytes()).unwrap();
            let lines: String = alerts.iter().map(|alert| format!("{alert}\n")).collect();
            let mut out = io::stdout().lock();
            out.write_all(lines.as_bytes()).unwrap();
            out.flush().unwrap();
            200
        }
        Err(_) => 400,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status.try_into().unwrap();
    Ok(response)
}
