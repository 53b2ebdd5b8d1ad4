//! The images of `cargo xtask image` in a real containerd, started through its CRI as the kubelet would by the manifests.
//!
//! `VEDETTE_IMAGES` names the directory with the tars; `cargo xtask image --check` sets it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod pods;

#[path = "../support/act.rs"]
mod act;
#[path = "../support/container.rs"]
mod container;
#[path = "../support/harness.rs"]
mod harness;
#[path = "../support/wait.rs"]
mod wait;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use nix::unistd::{Gid, Uid, chown};
use serde_json::Value as Json;

use self::{
    container::{Containerd, Image, Options, Pods},
    pods::{Overlay, free_port},
};

/// How long a program may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the pods' doings are held against.
const RULES: &str = "
- rule: Marked exec
  desc: A program with a mark.
  condition: evt.type in (execve, execveat) and container.id != host and proc.args contains vedette-mark
  output: '%proc.args %k8s.ns.name %k8s.pod.name %container.image.repository'
  priority: NOTICE
";

fn main() -> ExitCode {
    if let Some(code) = act::requested() {
        return code;
    }
    let arguments = Arguments::from_args();
    if !harness::may_load_bpf("images") {
        return ExitCode::SUCCESS;
    }
    let Some(images) = std::env::var_os("VEDETTE_IMAGES").map(PathBuf::from) else {
        println!("skipped: VEDETTE_IMAGES names no directory with images; see `cargo xtask image --check`");
        return ExitCode::SUCCESS;
    };
    let test = move || {
        the_images_run_as_the_manifests_say(&images);
        Ok(())
    };
    libtest_mimic::run(&arguments, vec![Trial::test("the_images_run_as_the_manifests_say", test)]).exit_code()
}

fn the_images_run_as_the_manifests_say(images: &std::path::Path) {
    let image = Image::with_helper();
    let containerd = Containerd::start(&image);
    let overlay = Overlay::single_node();
    let (agent, controller) = (overlay.pod("DaemonSet"), overlay.pod("Deployment"));
    for (tar, pod) in [("vedette-agent.tar", agent), ("vedette-controller.tar", controller)] {
        containerd.import(&images.join(tar));
        // Under the very name that the manifest has, so that the kubelet need not pull it.
        let name = format!("docker.io/{}", pod["containers"][0]["image"].as_str().unwrap());
        assert!(containerd.images().contains(&name), "{name} is not among {:?}", containerd.images());
        for (argument, wanted) in [("--version", env!("CARGO_PKG_VERSION")), ("--help", "Usage:")] {
            let said = containerd.run_once(&name, argument);
            assert!(said.contains(wanted), "{tar} {argument}: {said}");
        }
    }

    let pods = Pods::of(&containerd);
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    fs::write(place("policies").join("rules.yaml"), RULES).unwrap();
    fs::write(place("policies").join("sink.yaml"), "stdout: {}\nstart: oldest\n").unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // As the kubelet makes an emptyDir for a pod with an fsGroup.
    let data = place("data");
    chown(&data, Some(Uid::from_raw(0)), Some(Gid::from_raw(65532))).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o2777)).unwrap();

    let (grpc, metrics) = (free_port(), free_port());
    let mut spec = overlay.spec("Deployment", &[("data", data.clone())]);
    // There is no API server: policies, tokens and the sink come from files. All else is as the manifest says.
    spec.args = [
        "run",
        "--standalone",
        "--policies=/policies/rules.yaml",
        "--sink=/policies/sink.yaml",
        "--data=/var/lib/vedette-controller",
        "--tls-name=127.0.0.1",
    ]
    .map(str::to_owned)
    .into();
    spec.args.push(format!("--listen=127.0.0.1:{grpc}"));
    spec.args.push(format!("--metrics=127.0.0.1:{metrics}"));
    spec.mounts.push((pods::mount(place("policies"), "/policies"), true));
    let (_controller, controller) = pods.run_pod(&spec);
    pods::ready("the controller", metrics, &controller.log, PATIENCE);

    for (from, to) in [("ca.pem", "ca/ca.pem"), ("agent-token", "token/token")] {
        let to = directory.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(data.join(from), to).unwrap();
    }
    // A pod from before the agent.
    let early = pods.run(&Options::default());
    let metrics = free_port();
    let mut spec = overlay.spec(
        "DaemonSet",
        &[
            ("runtimes", containerd.root().join("run")),
            ("cgroup", "/sys/fs/cgroup".into()),
            ("state", place("state")),
            ("run", place("run")),
            ("controller-ca", place("ca")),
            ("controller-token", place("token")),
            ("api-token", place("nothing")),
        ],
    );
    for argument in &mut spec.args {
        if argument.starts_with("--controller=") {
            *argument = format!("--controller=https://127.0.0.1:{grpc}");
        } else if argument.starts_with("--metrics=") {
            *argument = format!("--metrics=127.0.0.1:{metrics}");
        }
    }
    let (agent, agent_pod) = pods.run_pod(&spec);
    pods::ready("the agent", metrics, &agent_pod.log, PATIENCE);
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(effective, 16).unwrap().count_ones(), 4, "{effective}");
    let log = fs::read_to_string(&agent_pod.log).unwrap();
    assert!(log.contains("degraded: 0 programs, 0 event types"), "{log}");
    for line in log.lines().filter(|line| line.contains(" WARN ")) {
        // The kernel is this host's, and there is no API server. Everything else must be as on a host.
        assert!(line.contains("this kernel") || line.contains("pods are not known"), "{line}");
    }

    wait::until("the controller's policies", || {
        fs::read_to_string(&agent_pod.log).is_ok_and(|log| log.contains("policies of the controller"))
    });
    for (mark, (container, pod)) in [("early", early), ("late", pods.run(&Options::default()))] {
        let mark = format!("vedette-mark-{mark}");
        container.exec(["/bin/true", &mark]);
        let since = Instant::now();
        let alert = wait::until_some("the alert at the sink", PATIENCE * 2, || {
            let read = |path| fs::read_to_string(path).unwrap_or_default();
            let log = read(&controller.log);
            assert!(since.elapsed() < PATIENCE, "agent:\n{}\ncontroller:\n{log}", read(&agent_pod.log));
            let line = log.lines().find(|line| line.contains(&mark))?;
            // A time, the stream and whether the line is whole come before it.
            serde_json::from_str::<Json>(line.splitn(4, ' ').nth(3)?).ok()
        });
        let fields = &alert["output_fields"];
        assert_eq!(fields["k8s.pod.name"], pod.name.as_str(), "{alert:#}");
        assert_eq!(fields["k8s.ns.name"], pod.namespace.as_str());
        assert_eq!(fields["container.image.repository"], "registry.test/vedette/image");
    }
    // The spool is on the host, and outlives the pod.
    assert!(fs::read_dir(directory.path().join("state")).unwrap().count() > 0);
}
