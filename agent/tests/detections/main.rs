//! Holds the built-in policies against what attacks, and everyday work, really do.
#[path = "../support/harness.rs"]
mod harness;

fn main() {
    if !harness::may_load_bpf("detections") {
        return;
    }
    let agent = harness::Agent::start(["run", "--output", "json"]);
    agent.wait_ready(harness::PATIENCE);
    assert!(agent.terminate().status.success());
}
