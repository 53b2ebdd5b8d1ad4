//! What the agent says about real containers: whose an event is, from the first exec on, and what the container is
//! called.
//!
//! One agent runs while all tests go on, with rules that tell of every exec in a container.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod metadata;
mod scene;
mod whose;

#[path = "../support/act.rs"]
mod act;
#[path = "../support/container.rs"]
mod container;
#[path = "../support/harness.rs"]
mod harness;
#[path = "../support/wait.rs"]
mod wait;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};

use self::scene::Scene;

/// A test by name.
type Test = (&'static str, fn(&Scene));

fn main() -> ExitCode {
    if let Some(code) = act::requested() {
        return code;
    }
    let arguments = Arguments::from_args();
    if !harness::may_load_bpf("containers") {
        return ExitCode::SUCCESS;
    }
    let scene = (!arguments.list).then(|| Arc::new(Scene::new()));
    let tests = whose::TESTS.iter().chain(metadata::TESTS);
    let trials = tests.map(|(name, test)| {
        let scene = scene.clone();
        Trial::test(*name, move || {
            test(scene.as_deref().unwrap());
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Some(scene) = scene {
        Arc::into_inner(scene).unwrap().end();
    }
    conclusion.exit_code()
}
