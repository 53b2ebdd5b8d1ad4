//! A real API server: etcd and kube-apiserver from the directory `$KUBEBUILDER_ASSETS`, on loopback, with RBAC.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, Config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::cluster::kubeconfig as kubeconfig_of;
use crate::process::free_port;

const ADMIN_TOKEN: &str = "admin-token-of-the-test";

/// The server. It ends with this.
pub struct RealApi {
    assets: PathBuf,
    directory: TempDir,
    port: u16,
    etcd: Child,
    server: Child,
}

impl RealApi {
    /// Starts one, if there are the programs for it.
    pub async fn start() -> Option<Self> {
        let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
            println!("skipped: KUBEBUILDER_ASSETS names no directory with etcd and kube-apiserver");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        certificates(path);
        let (etcd_port, peer_port, port) = (free_port(), free_port(), free_port());
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let peer_url = format!("http://127.0.0.1:{peer_port}");
        let etcd = Command::new(assets.join("etcd"))
            .arg(format!("--data-dir={}", path.join("etcd").display()))
            .arg(format!("--listen-client-urls={etcd_url}"))
            .arg(format!("--advertise-client-urls={etcd_url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=default={peer_url}"))
            .arg("--unsafe-no-fsync=true")
            .stdout(log(path, "etcd.log"))
            .stderr(log(path, "etcd.err"))
            .spawn()
            .unwrap();
        let file = |name: &str| path.join(name).display().to_string();
        let server = Command::new(assets.join("kube-apiserver"))
            .arg(format!("--etcd-servers={etcd_url}"))
            .arg(format!("--secure-port={port}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--tls-cert-file={}", file("server.pem")))
            .arg(format!("--tls-private-key-file={}", file("server.key")))
            .arg(format!("--token-auth-file={}", file("tokens.csv")))
            .arg(format!("--service-account-key-file={}", file("accounts.pub")))
            .arg(format!("--service-account-signing-key-file={}", file("accounts.key")))
            .args(["--service-account-issuer=https://localhost", "--authorization-mode=Node,RBAC"])
            // There is no controller that would make the default accounts, which pods would need.
            .args(["--disable-admission-plugins=ServiceAccount", "--service-cluster-ip-range=10.0.0.0/24"])
            .args(["--allow-privileged=true"])
            .arg(format!("--cert-dir={}", path.display()))
            .stdout(log(path, "server.log"))
            .stderr(log(path, "server.err"))
            .spawn()
            .unwrap();
        let mut api = Self { assets, directory, port, etcd, server };
        api.ready().await;
        Some(api)
    }

    async fn ready(&mut self) {
        let client = self.admin();
        let began = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            ticks.tick().await;
            let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
            if client.request_text(request).await.is_ok_and(|answer| answer == "ok") {
                return;
            }
            for (name, child) in [("etcd", &mut self.etcd), ("kube-apiserver", &mut self.server)] {
                let ended = child.try_wait().unwrap();
                let log = |file: &str| end_of(&self.directory.path().join(file));
                assert!(
                    ended.is_none() && began.elapsed() < Duration::from_secs(120),
                    "{name} is not ready ({ended:?})\netcd: {}\nkube-apiserver: {}",
                    log("etcd.err"),
                    log("server.err"),
                );
            }
        }
    }

    /// A client with that token.
    pub fn client(&self, token: &str) -> Client {
        let mut config = Config::new(format!("https://127.0.0.1:{}", self.port).parse().unwrap());
        let pem = fs::read(self.directory.path().join("ca.der")).unwrap();
        config.root_cert = Some(vec![pem]);
        config.auth_info.token = Some(token.to_owned().into());
        Client::try_from(config).unwrap()
    }

    /// A client that may do everything.
    pub fn admin(&self) -> Client {
        self.client(ADMIN_TOKEN)
    }

    /// A token of a service account, as the TokenRequest asks for it.
    pub async fn token(&self, admin: &Client, namespace: &str, name: &str, spec: Json) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
        let mut spec = spec;
        // For the API server itself, unless for somebody else.
        if spec["audiences"].is_null() {
            spec["audiences"] = json!([]);
        }
        let request: TokenRequest = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
        answer.status.unwrap().token
    }

    /// Where it is, for a kubeconfig.
    pub fn cluster(&self) -> Json {
        json!({
            "server": format!("https://127.0.0.1:{}", self.port),
            "certificate-authority": self.directory.path().join("ca.pem"),
        })
    }

    /// Runs `kubectl`, that of the same directory if it is there. Says what it wrote, where it failed to standard error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let kubeconfig = self.directory.path().join("kubeconfig");
        let text = kubeconfig_of(self.cluster(), ADMIN_TOKEN, "default").to_string();
        fs::write(&kubeconfig, text).unwrap();
        let own = self.assets.join("kubectl");
        let mut kubectl = Command::new(if own.is_file() { own } else { "kubectl".into() });
        // Its cache of what the server has is ours, too.
        kubectl.env("KUBECONFIG", kubeconfig).env("HOME", self.directory.path()).args(arguments);
        let output = kubectl.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("kubectl: {error}"));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }
}

impl Drop for RealApi {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.etcd] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn log(directory: &Path, name: &str) -> Stdio {
    fs::File::create(directory.join(name)).unwrap().into()
}

fn end_of(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let end: Vec<_> = log.lines().rev().take(30).collect();
    end.into_iter().rev().collect::<Vec<_>>().join("\n")
}

fn certificates(directory: &Path) {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
    let server = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let accounts = KeyPair::generate().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(directory.join(name), content).unwrap();
    write("ca.der", authority.der());
    write("ca.pem", authority.pem().as_bytes());
    write("server.pem", server.pem().as_bytes());
    write("server.key", key.serialize_pem().as_bytes());
    write("accounts.key", accounts.serialize_pem().as_bytes());
    write("accounts.pub", accounts.public_key_pem().as_bytes());
    write("tokens.csv", format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n").as_bytes());
}
