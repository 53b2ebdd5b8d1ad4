//! A real API server: etcd and kube-apiserver from the directory `$KUBEBUILDER_ASSETS`, on loopback, with RBAC.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, Config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

const ADMIN_TOKEN: &str = "admin-token-of-the-test";

/// The server. It ends with this.
pub struct RealApi {
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
            .args(["--service-account-issuer=https://localhost", "--authorization-mode=RBAC"])
            // There is no controller that would make the default accounts, which pods would need.
            .args(["--disable-admission-plugins=ServiceAccount", "--service-cluster-ip-range=10.0.0.0/24"])
            .args(["--allow-privileged=true"])
            .arg(format!("--cert-dir={}", path.display()))
            .stdout(log(path, "server.log"))
            .stderr(log(path, "server.err"))
            .spawn()
            .unwrap();
        let api = Self { directory, port, etcd, server };
        api.ready().await;
        Some(api)
    }

    async fn ready(&self) {
        let client = self.admin();
        let asking = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
                if client.request_text(request).await.is_ok_and(|answer| answer == "ok") {
                    return;
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(120), asking).await.is_err() {
            let log = fs::read_to_string(self.directory.path().join("server.err")).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(30).collect();
            panic!("kube-apiserver is not ready:\n{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }

    fn client(&self, token: &str) -> Client {
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

    /// A client that may do what the service account may.
    pub async fn account(&self, admin: &Client, namespace: &str, name: &str) -> Client {
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
        let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
        self.client(&answer.status.unwrap().token)
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

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
    write("server.pem", server.pem().as_bytes());
    write("server.key", key.serialize_pem().as_bytes());
    write("accounts.key", accounts.serialize_pem().as_bytes());
    write("accounts.pub", accounts.public_key_pem().as_bytes());
    write("tokens.csv", format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n").as_bytes());
}
