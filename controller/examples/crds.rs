//! Prints the definition of a custom resource as YAML: `crds securitypolicies.vedette.dev`.

use std::process::ExitCode;

use vedette_controller::kube::crd;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match crd::to_yaml(&name) {
        Ok(yaml) => {
            print!("{yaml}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
