//! In which container something happened, also where the task was moved, and what is kept of it for later.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use vedette_event::{
    Clock, Container, Knowledge, NoNames, ProcessKey, State, StateLimits, View, decode,
    testing::RecordBuilder,
};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const RUNC: ProcessKey = ProcessKey { tgid: 10, start: 100 };
const INIT: ProcessKey = ProcessKey { tgid: 20, start: 200 };
const CHILD: ProcessKey = ProcessKey { tgid: 30, start: 300 };

fn groups() -> State {
    let mut state = State::new(StateLimits::default());
    for (id, path) in
        [(1, "/system.slice".to_owned()), (2, format!("/docker/{A}")), (3, format!("/docker/{B}"))]
    {
        state.apply(&decode(&RecordBuilder::cgroup_mkdir(id, &path).build()).unwrap());
    }
    state
}

/// Applies a record, and says in which container it happened.
fn container(state: &mut State, bytes: &[u8]) -> Option<String> {
    let record = decode(bytes).unwrap();
    let id = state.apply(&record).process.unwrap();
    view(state, &record, id).container().map(|c: &Container| c.id.clone())
}

fn view<'a>(
    state: &'a State,
    record: &'a vedette_event::Record<'a>,
    id: vedette_event::ProcessId,
) -> View<'a> {
    View {
        record,
        number: 1,
        process: state.processes.get(id).unwrap(),
        id,
        state,
        clock: Clock::default(),
        hostname: "n",
        names: &NoNames,
    }
}

#[test]
fn an_event_happens_in_the_group_that_its_record_names() {
    let mut state = groups();
    container(&mut state, &RecordBuilder::process_exec(RUNC, "/usr/bin/runc", &["runc"]).cgroup(1).build());
    let fork = RecordBuilder::process_fork(INIT, RUNC).cgroup(1).build();
    assert_eq!(container(&mut state, &fork), None, "forked outside");
    // Now it is moved, without a word; the next record tells.
    let open = RecordBuilder::file_open(INIT, "/etc/passwd", "/etc/passwd").cgroup(2).build();
    assert_eq!(container(&mut state, &open).as_deref(), Some(A));
    assert_eq!(state.processes.get(state.processes.find(INIT).unwrap()).unwrap().task.cgroup, 2);
    // Its exec and its exit tell of moves, too.
    let exec = RecordBuilder::process_exec(INIT, "/bin/sh", &["sh"]).cgroup(3).build();
    assert_eq!(container(&mut state, &exec).as_deref(), Some(B));
    let exit = RecordBuilder::process_exit(INIT).cgroup(2).build();
    assert_eq!(container(&mut state, &exit).as_deref(), Some(A));
}

#[test]
fn a_fork_is_told_by_the_parent_but_happens_where_the_child_is() {
    let mut state = groups();
    container(&mut state, &RecordBuilder::process_exec(RUNC, "/usr/bin/runc", &["runc"]).cgroup(1).build());
    // clone3 with CLONE_INTO_CGROUP: the record comes from the parent's group.
    let mut fork = RecordBuilder::process_fork(INIT, RUNC).cgroup(2);
    fork.header.cgroup = 1;
    assert_eq!(container(&mut state, &fork.build()).as_deref(), Some(A));
}

#[test]
fn without_a_known_group_the_process_s_own_counts() {
    let mut state = groups();
    container(&mut state, &RecordBuilder::process_exec(INIT, "/bin/sh", &["sh"]).cgroup(2).build());
    let open = |cgroup| RecordBuilder::file_open(INIT, "/x", "/x").cgroup(cgroup).build();
    assert_eq!(container(&mut state, &open(0)).as_deref(), Some(A), "the record names none");
    assert_eq!(container(&mut state, &open(1)), None, "moved to the host");
}

#[test]
fn an_excerpt_stays_as_it_was_and_learns_only_of_its_container() {
    let mut state = groups();
    for (key, parent, group) in
        [(RUNC, ProcessKey { tgid: 0, start: 0 }, 1), (INIT, RUNC, 2), (CHILD, INIT, 2)]
    {
        let exec = RecordBuilder::process_exec(key, "/bin/a", &["a"]).parent(parent).cgroup(group);
        let leads = exec.facts(|task| (task.sid, task.pgid) = (INIT.tgid, RUNC.tgid));
        container(&mut state, &leads.build());
    }
    let id = state.processes.find(CHILD).unwrap();
    let mut excerpt = state.excerpt(id, 2).unwrap();
    // The node goes on.
    state.apply(&decode(&RecordBuilder::process_exec(CHILD, "/bin/b", &["b"]).cgroup(1).build()).unwrap());
    state.apply(&decode(&RecordBuilder::process_exit(INIT).cgroup(2).time(400).build()).unwrap());
    state.cgroups.describe(A, |c| {
        c.knowledge = Knowledge::Known;
        c.metadata.name = Some("web".into());
    });
    excerpt.learn(state.cgroups.container(A).unwrap());

    let bytes = RecordBuilder::file_open(CHILD, "/x", "/x").cgroup(2).build();
    let record = decode(&bytes).unwrap();
    let view = view(&excerpt.state, &record, excerpt.id);
    assert_eq!(&*view.process.exec.exe_path, b"/bin/a");
    let ancestors: Vec<_> = view.ancestors().map(|p| (p.key, p.exited)).collect();
    assert_eq!(ancestors, [(INIT, None), (RUNC, None)]);
    assert_eq!(view.state.processes.latest(INIT.tgid), view.state.processes.find(INIT));
    assert_eq!(view.container().unwrap().metadata.name.as_deref(), Some("web"));
    assert_eq!(excerpt.state.processes.len(), 3);
}
