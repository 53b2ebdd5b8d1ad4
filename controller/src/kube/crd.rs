//! The custom resources, `vedette.dev/v1alpha1`: their schemas come from the types here.
//!
//! The types say what the API server accepts. Policies are not read through them: what an object says goes to the
//! policy language as it is, so that one object which a newer version wrote cannot stop all others.

pub mod policy;
mod schema;
pub mod sink;
pub mod status;

pub use policy::{ClusterSecurityPolicy, ClusterSecurityPolicySpec, SecurityPolicy, SecurityPolicySpec};
pub use sink::AlertSink;
pub use status::PolicyStatus;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// The API group.
pub const GROUP: &str = "vedette.dev";
/// The version.
pub const VERSION: &str = "v1alpha1";

const HEADER: &str = "# Generated from controller/src/kube/crd by `cargo xtask codegen`.\n";

/// All definitions, sorted by name.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut sink = AlertSink::crd();
    schema::finish_sink(&mut sink);
    let all = [
        (sink, schema::SINK_COLUMNS),
        (ClusterSecurityPolicy::crd(), schema::POLICY_COLUMNS),
        (SecurityPolicy::crd(), schema::POLICY_COLUMNS),
    ];
    let finished = all.into_iter().map(|(mut crd, columns)| {
        schema::finish(&mut crd, columns);
        crd
    });
    finished.collect()
}

/// The definition of that name, such as `securitypolicies.vedette.dev`, as YAML.
///
/// # Errors
/// There is none, or it cannot be written.
pub fn to_yaml(name: &str) -> Result<String, CrdError> {
    let all = definitions();
    let found = all.iter().find(|crd| crd.metadata.name.as_deref() == Some(name));
    let crd = found.ok_or_else(|| CrdError::Unknown(name.to_owned()))?;
    let yaml = serde_saphyr::to_string(crd).map_err(|error| CrdError::Write(error.to_string()))?;
    Ok(format!("{HEADER}{yaml}"))
}

/// Why a definition cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// There is none of that name.
    #[error("there is no definition `{0}`")]
    Unknown(String),
    /// It cannot be written as YAML.
    #[error("definition: {0}")]
    Write(String),
}
