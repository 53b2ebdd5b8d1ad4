//! The arguments of the agent's manifest, held against its command line and settings.

#![allow(clippy::unwrap_used, reason = "a test says so by failing")]

use std::path::Path;

use clap::Parser as _;
use vedette_agent::cli::{Cli, Command};
use vedette_agent::config::Config;
use vedette_policy::document::yaml;
use vedette_policy::source::SourceId;

/// The documents of a file below `deploy`, as JSON.
fn documents(path: &str) -> Vec<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    yaml::parse(&text, SourceId(0)).unwrap().iter().map(yaml::Node::to_json).collect()
}

/// What the DaemonSet gives the program.
fn arguments() -> Vec<String> {
    let all = documents("manifests/agent.yaml");
    let set = all.iter().find(|document| document["kind"] == "DaemonSet").unwrap();
    let args = set["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    args.iter().map(|arg| arg.as_str().unwrap().to_owned()).collect()
}

/// The settings that come of arguments, once the kubelet has put the pod's address in.
fn settings(arguments: &[String]) -> Config {
    let arguments = arguments.iter().map(|arg| arg.replace("$(POD_IP)", "10.1.2.3"));
    let cli = Cli::try_parse_from(std::iter::once("vedette-agent".to_owned()).chain(arguments)).unwrap();
    let Command::Run(args) = cli.command else { panic!("it is to run") };
    Config::load(*args).unwrap()
}

#[test]
fn the_program_takes_the_arguments_of_its_manifest() {
    let config = settings(&arguments());
    assert_eq!(config.metrics, Some(([10, 1, 2, 3], 9464).into()));
    assert!(config.uplink.is_some());
}

#[test]
fn and_those_of_the_single_node() {
    let mut arguments = arguments();
    let patches = documents("examples/single-node/agent.yaml");
    let mut replaced = 0;
    for patch in patches[0].as_array().unwrap() {
        let path = patch["path"].as_str().unwrap();
        let Some((_, index)) = path.split_once("/containers/0/args/") else { continue };
        let (old, new) =
            (&mut arguments[index.parse::<usize>().unwrap()], patch["value"].as_str().unwrap().to_owned());
        // A patch names the place; that must still be the place of the same flag.
        assert_eq!(old.split_once('=').unwrap().0, new.split_once('=').unwrap().0, "{path}");
        *old = new;
        replaced += 1;
    }
    assert!(replaced >= 2);
    assert_eq!(settings(&arguments).metrics, Some(([127, 0, 0, 1], 9464).into()));
}
