//! What can be in the way, each with its own words and a remedy.

use crate::rig::{Controller, run, vedette};

#[test]
fn each_obstacle_has_its_remedy() {
    let controller = Controller::start(false, &[]);
    let url = format!("https://{}", controller.address);
    let data = |name: &str| controller.data(name).display().to_string();
    let fails = |url: &str, args: &[&str], with: &[&str]| {
        let all: Vec<&str> = ["status", "--controller", url].iter().chain(args).copied().collect();
        let (code, out, error) = run(&mut vedette(&all));
        assert_eq!((code, out.as_str()), (69, ""), "{error}");
        for text in with {
            assert!(error.contains(text), "{args:?}: {error}");
        }
    };
    let (ca, operator, agent) = (data("ca.pem"), data("operator-token"), data("agent-token"));
    fails("https://127.0.0.1:1", &["--ca", &ca], &["cannot reach", "127.0.0.1:1", "VEDETTE_CONTROLLER"]);
    fails("https://no.such.host.invalid", &["--ca", &ca], &["cannot reach", "no.such.host.invalid"]);
    fails("unix:/no/such.sock", &["--token-file", &operator], &["cannot reach", "/no/such.sock"]);
    fails(&url, &["--token-file", &operator], &["is not trusted", "ca.pem", "--ca (VEDETTE_CA)"]);
    let other = Controller::start(false, &[]);
    let other_ca = other.data("ca.pem").display().to_string();
    fails(&url, &["--ca", &other_ca, "--token-file", &operator], &["none of the authorities", "anew"]);
    let by_another_name = url.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    fails(&by_another_name, &["--ca", &ca], &["is not for ::ffff:127.0.0.1", "--tls-name ::ffff"]);
    fails(&url, &["--ca", &ca], &["wants to know who asks", "--token-file", "operator-token"]);
    fails(&url, &["--ca", &ca, "--token", "x"], &["the token is refused", "--token-file"]);
    fails(&url, &["--ca", &ca, "--token-file", &agent], &["may not", "operator NAME TOKEN"]);
    fails(&url, &["--ca", &ca, "--token-file", "/no/such"], &["/no/such: ", "No such file"]);
    fails(&url, &["--ca", "/no/such", "--token-file", &operator], &["/no/such: "]);
    fails(&url, &["--ca", &operator, "--token-file", &operator], &["operator-token: ", "no certificate"]);
    let plain = Controller::start(true, &[]);
    let url = format!("https://{}", plain.address);
    fails(&url, &["--ca", &ca, "--token-file", &operator], &["does not speak TLS", "--plaintext"]);

    let (code, _, error) = run(&mut vedette(&["status", "--controller", "http://example.com"]));
    assert!(code == 64 && error.contains("https://"), "{error}");
    let (code, _, error) = run(&mut vedette(&["status", "--client-cert", "/c"]));
    assert!(code == 64 && error.contains("--client-key"), "{error}");
}
