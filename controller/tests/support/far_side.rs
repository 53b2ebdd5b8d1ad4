//! Real servers, each a process of the test's own on a free port, ended with it.

use std::{
    env,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A server that runs.
pub struct FarSide {
    child: Child,
    /// Its directory.
    pub directory: tempfile::TempDir,
}

impl Drop for FarSide {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The root that a program is below: `/`, or where `cargo xtask setup` unpacks Debian's packages. Nothing, if it is not
/// there, after saying so; in CI it has to be.
pub fn root_of(program: &str) -> Option<PathBuf> {
    let found = roots().into_iter().find(|root| path(root, program).is_file());
    if found.is_none() {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{program} is missing: cargo xtask setup");
        println!("skipped: {program} is not there; `cargo xtask setup` gets it");
    }
    found
}

/// Where programs may be.
pub fn roots() -> Vec<PathBuf> {
    let directory = |variable| env::var_os(variable).map(PathBuf::from);
    let cache = directory("VEDETTE_CACHE")
        .or_else(|| Some(directory("XDG_CACHE_HOME")?.join("vedette")))
        .or_else(|| Some(directory("HOME")?.join(".cache/vedette")));
    [Some(PathBuf::from("/")), cache.map(|cache| cache.join("debian"))].into_iter().flatten().collect()
}

fn path(root: &Path, program: &str) -> PathBuf {
    let places = ["usr/sbin", "usr/bin", "usr/local/bin"].map(|place| root.join(place).join(program));
    places.iter().find(|path| path.is_file()).unwrap_or(&places[0]).clone()
}

/// The directories of libraries below all roots, with something behind each, separated by colons.
pub fn libraries(behind: &str) -> String {
    let all = roots().into_iter().map(|root| format!("{}/usr/lib/x86_64-linux-gnu{behind}", root.display()));
    all.collect::<Vec<_>>().join(":")
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a program and waits until a port of it can be reached. `arguments` are made with its directory.
pub fn start(program: &str, port: u16, arguments: impl FnOnce(&Path) -> Vec<String>) -> Option<FarSide> {
    let root = root_of(program)?;
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    let child = command(&root, program)
        .args(arguments(directory.path()))
        .env("LD_LIBRARY_PATH", libraries(""))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut far_side = FarSide { child, directory };
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = far_side.child.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < end, "{program}: {}", far_side.log());
        crate::wait::a_moment();
    }
    Some(far_side)
}

/// A program. One that was only unpacked finds its data all the same: in a mount namespace of its own, what was unpacked
/// lies over `/usr/share`.
fn command(root: &Path, program: &str) -> Command {
    let program = path(root, program);
    if root == Path::new("/") || !root.join("usr/share").is_dir() {
        return Command::new(program);
    }
    let script = r#"mount -t overlay overlay -o "lowerdir=$0/usr/share:/usr/share" /usr/share; exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).arg(root).arg(program);
    command
}

impl FarSide {
    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

/// A NATS server with JetStream, and its address.
pub fn nats() -> Option<(FarSide, String)> {
    let port = free_port();
    let server = start("nats-server", port, |directory| {
        let text = |text: &str| text.to_owned();
        let store = directory.join("store").display().to_string();
        vec![text("-js"), text("-a"), text("127.0.0.1"), text("-p"), port.to_string(), text("-sd"), store]
    })?;
    Some((server, format!("nats://127.0.0.1:{port}")))
}
