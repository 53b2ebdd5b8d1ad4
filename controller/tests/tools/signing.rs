//! Another key signs policies, while everything runs.

use std::{path::Path, process::Command};

use crate::rig::{Controller, run};
use crate::wait::soon;

fn rotate(data: &Path, after: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vedette-controller"));
    command.args(["rotate-signing-key", "--standalone", "--after", after, "--data"]);
    run(command.arg(data))
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_hear_of_a_key_before_it_signs_and_get_their_policies_anew_with_it() {
    let controller = Controller::start(true, &[]);
    let mut agent = controller.agent("n1").await;
    let first = agent.bundles.message().await.unwrap().unwrap();
    let (code, said, _) = rotate(&controller.data(""), "7s");
    let (next, _) = said.split_once('\n').unwrap();
    assert_eq!((code, next.len()), (0, 64), "{said}");
    let (code, _, error) = rotate(&controller.data(""), "1h");
    assert!(code == 1 && error.contains("wait for that"), "{error}");

    let announced = soon("the news of it", async || {
        let keys = agent.heartbeat(Default::default(), 0).await.signing_keys;
        (keys.len() == 2).then_some(keys)
    })
    .await;
    assert_eq!(announced[1].endorsed_by, first.key_id);
    // Then it signs: the same documents, of which none has to be sent.
    let second = agent.bundles.message().await.unwrap().unwrap();
    assert_eq!((second.key_id.as_str(), second.documents.len()), (next, 0));
    let public = std::fs::read_to_string(controller.data("signing-keys.pub")).unwrap();
    assert_eq!(public.trim(), data_encoding::HEXLOWER.encode(&announced[1].public_key));

    let (code, _, error) = rotate(Path::new("/no/such"), "1h");
    assert!(code == 1 && error.contains("--data"), "{error}");
}
