//! What nobody wants is dropped in the kernel: by kind, and by the control group it happens in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use std::{path::PathBuf, process::Command};

use harness::may_load_bpf;
use vedette_abi::{Kind, SCOPE_CONTAINER, SCOPE_HOST};
use vedette_agent::{
    identity::{Hierarchy, scopes_of_path},
    pump::Pump,
    sensor::{Drain, Plan, Sensor, SensorOptions},
};
use vedette_event::{Body, decode};

/// A control group with the name that a container's has.
struct Container {
    directory: PathBuf,
    parent: PathBuf,
    path: String,
    id: u64,
}

impl Container {
    fn new(hierarchy: &Hierarchy) -> Self {
        use std::os::unix::fs::MetadataExt;
        let name = format!("vedette-filter-{}", std::process::id());
        let hex = format!("{:064x}", std::process::id());
        let parent = hierarchy.mount.join(&name);
        let directory = parent.join(&hex);
        std::fs::create_dir_all(&directory).unwrap();
        let id = std::fs::metadata(&directory).unwrap().ino();
        Self { directory, parent, path: format!("/{name}/{hex}"), id }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Fails only while a process is in them; the next boot removes them then.
        let _ = std::fs::remove_dir(&self.directory);
        let _ = std::fs::remove_dir(&self.parent);
    }
}

/// Reads a file in a process of its own, in the given control group or in ours.
fn read(file: &std::path::Path, group: Option<&Container>) {
    let enter =
        group.map_or(String::new(), |g| format!("echo $$ > {}/cgroup.procs && ", g.directory.display()));
    let script = format!("{enter}exec cat {} > /dev/null", file.display());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

#[test]
fn a_kind_is_reported_only_where_some_policy_wants_it() {
    if !may_load_bpf("filter") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().canonicalize().unwrap().join("marker");
    std::fs::write(&marker, "x").unwrap();
    let hierarchy = Hierarchy::of_host().unwrap();
    let container = Container::new(&hierarchy);
    assert_eq!(scopes_of_path(&container.path), SCOPE_CONTAINER);

    let mut sensor = Sensor::load(&SensorOptions {
        events_ring: 16 << 20,
        cgroup_controller: hierarchy.controller.map(|c| c.enumerator),
        ..SensorOptions::default()
    })
    .unwrap();
    let (state, events) = sensor.take_rings().unwrap();
    let pump = Pump::start(Drain::new(state, events)).unwrap();
    for group in hierarchy.walk() {
        sensor.filter().set_scopes(group.id, scopes_of_path(&group.path));
    }
    let reader = std::thread::spawn({
        let (batches, marker) = (pump.batches.clone(), marker.clone());
        move || {
            let mut groups = Vec::new();
            for batch in batches {
                for bytes in batch.iter() {
                    let record = decode(bytes).unwrap();
                    if matches!(&record.body, Body::FileOpen { path, .. } if *path == marker.as_os_str().as_encoded_bytes())
                    {
                        groups.push(record.header.cgroup);
                    }
                }
            }
            groups
        }
    });
    let both = |marker| {
        read(marker, None);
        read(marker, Some(&container));
    };
    let plan = |scopes: &[u64]| {
        let mut plan = Plan::default();
        for scope in scopes {
            plan.want("openat", *scope);
        }
        plan
    };
    // Nobody wants opens: the hook that every system call passes is not even attached.
    sensor.apply(&plan(&[])).unwrap();
    both(&marker);
    assert_eq!(sensor.counters().unwrap().of(Kind::FileOpen), Default::default());
    // Only of containers, then only of the host, then of both: each change is a new generation of the tables.
    for scopes in [&[SCOPE_CONTAINER][..], &[SCOPE_HOST], &[SCOPE_HOST, SCOPE_CONTAINER]] {
        sensor.apply(&plan(scopes)).unwrap();
        both(&marker);
    }
    let filtered = sensor.counters().unwrap().of(Kind::FileOpen).filtered;
    sensor.apply(&plan(&[])).unwrap();
    both(&marker);
    sensor.detach_all();
    pump.finish();
    let groups = reader.join().unwrap();
    pump.join().unwrap();
    let of_container = |id: &u64| *id == container.id;
    let seen: Vec<bool> = groups.iter().map(of_container).collect();
    assert_eq!(seen, [true, false, false, true], "container; host; both");
    assert!(filtered > 0, "the rest was dropped in the kernel, and counted");
}

/// Opens `marker` in every way a file can be named, and some file that nobody asks for in between.
fn open_by_every_name(directory: &std::path::Path) {
    use std::os::unix::fs::symlink;
    let (watched, other) = (directory.join("watched-name"), directory.join("other-name"));
    std::fs::create_dir_all(directory.join("watched-directory/below")).unwrap();
    for file in [&watched, &other, &directory.join("watched-directory/below/file")] {
        std::fs::write(file, "x").unwrap();
    }
    symlink(&watched, directory.join("link")).unwrap();
    symlink(&other, directory.join("watched-link")).unwrap();
    let script = format!(
        "cd {0} && exec 3<watched-name 4<./watched-name 5<watched-directory/../watched-name 6<{0}/watched-name \
         7<link 8<watched-directory/below/file 9<other-name && cd watched-directory/below && exec 3<file && \
         cd ../.. && exec 3<watched-link 4<{0}//other-name 5<./other-name && exec 3>>other-name",
        directory.display()
    );
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

#[test]
fn opens_are_reported_by_the_names_that_rules_ask_for() {
    if !may_load_bpf("filter") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().canonicalize().unwrap();
    let policy = "- rule: r\n  desc: d\n  condition: >\n    evt.type in (open, openat) and evt.is_open_write = false and \
                  (fd.filename in (watched-name, watched-link) or fd.name contains /watched-directory/)\n  output: o\n  priority: INFO\n";
    let loaded = vedette_policy::PolicySet::load([vedette_policy::Source::new("t.yaml", policy)]);
    let plan = vedette_agent::policies::plan(&loaded.set.unwrap());
    let records = sensor::record_plan(&plan, || open_by_every_name(&directory));
    let mut raw: Vec<String> = records
        .iter()
        .filter_map(|record| match &record.body {
            Body::FileOpen { facts, path, raw, .. }
                if facts.flags & 0o3 == 0 && path.starts_with(directory.as_os_str().as_encoded_bytes()) =>
            {
                Some(String::from_utf8_lossy(raw).replace(&directory.display().to_string(), "DIR"))
            }
            _ => None,
        })
        .collect();
    raw.sort();
    let seen: Vec<&str> = raw.iter().map(String::as_str).collect();
    assert_eq!(
        seen,
        [
            "./watched-name",
            "DIR/watched-name",
            "file",
            "link",
            "watched-directory/../watched-name",
            "watched-directory/below/file",
            "watched-link",
            "watched-name",
        ]
    );
}
