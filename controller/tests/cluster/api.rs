//! An API server in this process: it stores, patches, watches, authorizes and asks webhooks, as far as the controller
//! sees it.

mod admission;
mod apply;
mod http;
mod rbac;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use kube::{Client, Config};
use serde_json::{Value as Json, json};

pub use rbac::Access;
pub use store::Store;

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Who made it.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: String,
    /// The group; empty for the core.
    pub group: String,
    /// The resource, with its subresource: `pods`, `securitypolicies/status`.
    pub resource: String,
    /// The namespace, if the call is about one.
    pub namespace: Option<String>,
    /// The name, if the call is about one object.
    pub name: Option<String>,
}

/// Everything that the handlers share.
pub struct Shared {
    pub store: Mutex<Store>,
    /// Told of each change, and when streams are to end.
    pub changed: tokio::sync::watch::Sender<u64>,
    /// Streams that began before this number of cuts end.
    pub cuts: tokio::sync::watch::Sender<u64>,
    pub calls: Mutex<Vec<Call>>,
    /// Who may do what, by token; a token that is not there may do everything.
    pub access: Mutex<BTreeMap<String, Access>>,
    /// Where a service is reached.
    pub services: Mutex<BTreeMap<String, SocketAddr>>,
}

/// The server.
pub struct FakeApi {
    pub shared: Arc<Shared>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl FakeApi {
    /// Starts one that knows the built-in kinds, on the runtime of the caller.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            changed: tokio::sync::watch::Sender::new(0),
            cuts: tokio::sync::watch::Sender::new(0),
            calls: Mutex::default(),
            access: Mutex::default(),
            services: Mutex::default(),
        });
        let server = tokio::spawn(http::serve(listener, Arc::clone(&shared)));
        Self { shared, address, server }
    }

    /// A client with that token.
    pub fn client(&self, token: &str) -> Client {
        let mut config = Config::new(self.url().parse().unwrap());
        config.auth_info.token = Some(token.to_owned().into());
        Client::try_from(config).unwrap()
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets a token do only what these manifests give the service account.
    pub fn restrict(&self, token: &str, manifests: &[Json], namespace: &str, account: &str) {
        let access = Access::of(manifests, namespace, account);
        self.shared.access.lock().unwrap().insert(token.to_owned(), access);
    }

    /// Ends all watches, as a server does that is started anew.
    pub fn cut_watches(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer that is no object.
pub fn status(code: u16, reason: &str, message: &str) -> Json {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}
