//! Rules about calls match what is done through io_uring, in the agent as it runs.

use io_uring::opcode;

use crate::{
    files::{CWD, place},
    harness::{Agent, PATIENCE},
    ring::{Mode, c, close, may_run, ring, run},
};

#[test]
fn a_rule_does_not_ask_by_which_way_it_was_done() {
    if !may_run() {
        return;
    }
    let (_dir, root) = place();
    let [policies, watched, link, gone] = ["policies", "watched", "link", "gone"].map(|n| root.join(n));
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(&watched, "x").unwrap();
    std::fs::write(&gone, "x").unwrap();
    std::os::unix::fs::symlink(&watched, &link).unwrap();
    let rules = format!(
        r#"
- rule: Watched file opened
  desc: The file was opened, in whatever way.
  condition: evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.name = "{}"
  output: "opened %fd.name as %fd.nameraw by %io_uring.op"
  priority: WARNING
- rule: File removed
  desc: A file was removed.
  condition: evt.type = unlinkat and io_uring.op = IORING_OP_UNLINKAT
  output: "removed by %evt.type and %io_uring.op, %io_uring.confirmed"
  priority: WARNING
"#,
        watched.display()
    );
    std::fs::write(policies.join("rules.yaml"), rules).unwrap();
    let policies = policies.to_str().unwrap();
    let agent = Agent::start(["run", "--no-default-policies", "--policy", policies, "--output", "json"]);
    // Other tests load programs at the same time.
    agent.wait_ready(6 * PATIENCE);
    let mark = agent.stdout.mark();
    let (to_link, to_gone) = (c(&link), c(&gone));
    let results = run(
        &mut ring(Mode::Plain, 8),
        vec![
            opcode::OpenAt::new(CWD, to_link.as_ptr()).build(),
            opcode::UnlinkAt::new(CWD, to_gone.as_ptr()).build(),
        ],
    );
    close(&results[..1]);
    let pid = std::process::id();
    let line = agent.expect_alert(mark, "Watched file opened", |l| l.is_of(pid));
    assert_eq!(line.at("output_fields").get("fd.name").unwrap(), watched.to_str().unwrap());
    assert_eq!(line.at("output_fields").get("io_uring.op").unwrap(), "IORING_OP_OPENAT");
    assert_eq!(line.at("process.pid"), pid);
    let line = agent.expect_alert(mark, "File removed", |l| l.is_of(pid));
    assert_eq!(line.at("output_fields").get("io_uring.op").unwrap(), "IORING_OP_UNLINKAT");
    assert!(agent.terminate().status.success());
}
