//! Whose an event is.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    Test,
    container::{Container, Exec, HELPER, Options, fresh_id},
    harness::PATIENCE,
    scene::{Scene, assert_fields, field},
    wait,
};

pub const TESTS: &[Test] = &[
    ("the_first_exec_of_a_container_is_its_own", first_exec),
    ("many_containers_at_once_are_told_apart", many_at_once),
    ("what_is_outside_is_the_hosts", on_the_host),
    ("a_container_from_before_the_agent_is_known", before_the_agent),
    ("groups_are_recognised_as_runtimes_name_them", shapes),
    ("a_group_inside_a_container_is_the_containers", nested_group),
    ("a_container_in_a_container_is_itself", nested_container),
    ("users_are_called_as_the_container_calls_them", users),
    ("users_of_a_namespace_are_not_those_of_one_before", users_after_another),
    ("paths_are_as_the_container_sees_them", paths),
    ("processes_have_the_numbers_of_their_namespace", numbers),
];

fn first_exec(scene: &Scene) {
    for (name, runtime) in scene.runtimes() {
        let mark = scene.mark();
        let args = ["/bin/sh", "-c", "cat; :", "sh", &mark].map(str::to_owned).to_vec();
        let args =
            if name == "runc" { args } else { ["/bin/sleep", "600", &mark].map(str::to_owned).to_vec() };
        let container = Container::run(&runtime, Options { args, ..Options::default() });
        let told = scene.told("Exec in container", &mark);
        assert_fields(
            &told,
            &[
                ("container.id", json!(container.short_id())),
                ("container.full_id", json!(container.id())),
                ("proc.vpid", json!(1)),
                ("proc.pid", json!(container.pid())),
            ],
        );
        assert_eq!(told.at("container.id"), container.id());
    }
}

fn many_at_once(scene: &Scene) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let container = scene.container(Options::default());
                for _ in 0..4 {
                    let told = scene.told_of_exec_in(&container);
                    assert_fields(&told, &[("container.id", json!(container.short_id()))]);
                }
            });
        }
    });
}

fn on_the_host(scene: &Scene) {
    // With a container beside it.
    let _container = scene.container(Options::default());
    let mark = scene.mark();
    let mut child = Command::new("/bin/true").arg(&mark).spawn().unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success());
    let told = scene.told("Exec on host", &mark);
    assert_fields(
        &told,
        &[
            ("container.id", json!("host")),
            ("container.name", json!("host")),
            ("container.image", json!(null)),
            ("k8s.pod.name", json!(null)),
            ("user.name", json!("root")),
            ("proc.pid", json!(pid)),
        ],
    );
    assert!(told.at("container").is_null(), "{}", told.text);
}

fn before_the_agent(scene: &Scene) {
    let told = scene.told_of_exec_in(&scene.early);
    assert_fields(&told, &[("container.id", json!(scene.early.short_id()))]);
}

fn shapes(scene: &Scene) {
    let groups = scene.runc.groups();
    for (runtime, parent, before, after) in [
        ("docker", "/docker", "", ""),
        ("docker", "/system.slice", "docker-", ".scope"),
        ("containerd", "/kubepods.slice/kubepods-besteffort.slice", "cri-containerd-", ".scope"),
        ("cri-o", "/kubepods.slice", "crio-", ".scope"),
        ("podman", "/machine.slice", "libpod-", ".scope"),
    ] {
        let id = fresh_id();
        let cgroup = groups.path(&format!("{parent}/{before}{id}{after}"));
        let options = Options { id: Some(id), cgroup: Some(cgroup), ..Options::default() };
        let container = scene.container(options);
        let told = scene.told_of_exec_in(&container);
        assert_fields(&told, &[("container.id", json!(container.short_id()))]);
        assert_eq!(told.at("container.runtime"), runtime, "{}", told.text);
    }
}

/// The processes of a control group, all of one container.
fn members(scene: &Scene, cgroup: &str) -> Vec<u32> {
    let directories = scene.runc.groups().directories(cgroup);
    let text = fs::read_to_string(directories.first().unwrap().join("cgroup.procs")).unwrap();
    text.lines().map(|pid| pid.parse().unwrap()).collect()
}

fn nested_group(scene: &Scene) {
    let container = scene.container(Options::default());
    let mark = scene.mark();
    let script = format!("echo ready; read go; /bin/true {mark}");
    let mut command = container.command(&Exec::new(["sh", "-c", &script]));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    let inner = format!("{}/system.slice/inner", container.cgroup());
    for pid in members(scene, container.cgroup()) {
        scene.runc.groups().nest(&inner, pid);
    }
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    assert!(child.wait().unwrap().success());
    let told = scene.told("Exec in container", &mark);
    assert_fields(&told, &[("container.id", json!(container.short_id()))]);
}

fn nested_container(scene: &Scene) {
    let outer = scene.container(Options::default());
    let id = fresh_id();
    let cgroup = format!("{}/docker/{id}", outer.cgroup());
    // On v2 a group with processes may have groups below it as long as it hands no controller on.
    let inner = scene.container(Options { id: Some(id), cgroup: Some(cgroup), ..Options::default() });
    for container in [&inner, &outer] {
        let told = scene.told_of_exec_in(container);
        assert_fields(&told, &[("container.id", json!(container.short_id()))]);
    }
}

fn users(scene: &Scene) {
    for (_, runtime) in scene.runtimes() {
        let container = Container::run(&runtime, Options::default());
        for (uid, user, group) in [(0, "captain", "bridge"), (1000, "cook", "galley")] {
            let mark = scene.mark();
            container.exec_with(&Exec::new(["/bin/true", &mark]).user(uid));
            let told = scene.told("Exec in container", &mark);
            assert_fields(
                &told,
                &[("user.name", json!(user)), ("user.uid", json!(uid)), ("group.name", json!(group))],
            );
        }
    }
}

fn users_after_another(scene: &Scene) {
    // The kernel gives the number of a mount namespace to the next one as soon as it is free.
    let namespace = |path: &str| fs::read_link(path).unwrap();
    let came_back = (0..10).any(|_| {
        let mark = scene.mark();
        let script = "readlink /proc/self/ns/mnt; exec /bin/true \"$0\"";
        let mut before = Command::new("unshare");
        let before = before.args(["--mount", "/bin/sh", "-c", script, &mark]).output().unwrap();
        assert_fields(&scene.told("Exec on host", &mark), &[("user.name", json!("root"))]);
        let container = scene.container(Options::default());
        let told = scene.told_of_exec_in(&container);
        assert_fields(&told, &[("user.name", json!("captain"))]);
        let after = namespace(&format!("/proc/{}/ns/mnt", container.pid()));
        String::from_utf8(before.stdout).unwrap().trim() == after.to_str().unwrap()
    });
    assert!(came_back, "no number came back");
}

fn paths(scene: &Scene) {
    let host = tempfile::tempdir().unwrap();
    for (_, runtime) in scene.runtimes() {
        let container = Container::run(&runtime, Options::default().with_mount(host.path(), "/data"));
        for (directory, raw) in [("/tmp", ""), ("/data", ""), ("/tmp", "../tmp/")] {
            let mark = scene.mark();
            container.write(&format!("{directory}/{mark}"), "made by a test\n");
            let name = if raw.is_empty() { format!("{directory}/{mark}") } else { format!("{raw}{mark}") };
            container.exec_with(&Exec::new(["cat", &name]).cwd(directory));
            let path = format!("{directory}/{mark}");
            let told = scene.agent.expect_alert(0, "Open", |line| {
                field(line, "fd.name") == path.as_str() && field(line, "proc.name") == "cat"
            });
            assert_fields(
                &told,
                &[
                    ("container.id", json!(container.short_id())),
                    ("fd.nameraw", json!(name)),
                    ("user.name", json!("captain")),
                ],
            );
        }
    }
}

fn numbers(scene: &Scene) {
    for (_, runtime) in scene.runtimes() {
        let container = Container::run(&runtime, Options::default());
        let mark = scene.mark();
        // A process that says which number it has, and stays until that has been compared.
        let mut command = container.command(&Exec::new([HELPER, "--act", "tell-pid", &mark]));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line)
            .unwrap();
        let inside: u32 = line.trim().parse().unwrap();
        let told = scene.told("Exec in container", &mark);
        assert_fields(
            &told,
            &[("proc.vpid", json!(inside)), ("proc.exepath", json!(HELPER)), ("proc.cwd", json!("/"))],
        );
        // And the number outside is that of the process whose number inside it is.
        let outside = field(&told, "proc.pid").as_u64().unwrap();
        let status = fs::read_to_string(format!("/proc/{outside}/status")).unwrap();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
        let expected = [outside.to_string(), inside.to_string()];
        assert!(numbers.split_whitespace().eq(expected.iter().map(String::as_str)), "{numbers}");
        drop(child.stdin.take());
        wait::until_some("the helper to end", PATIENCE, || child.try_wait().unwrap());
    }
}
