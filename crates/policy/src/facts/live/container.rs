//! `container.*` and `k8s.*`.
//!
//! What nobody has said is absent, so that a comparison with it does not hold: the image of a container whose runtime
//! does not know it, the labels of a pod that has none.

use std::borrow::Cow;
use std::collections::BTreeMap;

use vedette_event::{Container, Knowledge, Mount, is_internal_label, short_id};

use super::LiveFacts;
use crate::compile::Glob;
use crate::field::{FieldArg, FieldId};
use crate::value::Value;

/// What container fields say outside of containers.
const HOST: &str = "host";

/// What the fields of probes say where there is none.
const NO_PROBE: &str = "NONE";

/// Id of the container, shortened; `host` outside of containers.
pub fn id<'a>(facts: &LiveFacts<'a>) -> &'a str {
    facts.view.container().map_or(HOST, |c| c.short_id())
}

/// The value of a field of this family, or `None` where it belongs to another.
pub fn get<'a>(facts: &'a LiveFacts<'_>, field: FieldId, arg: &FieldArg) -> Option<Value<'a>> {
    use FieldId as F;
    let container = facts.view.container();
    let started = || container.and_then(|c| c.started(facts.view.clock));
    match field {
        F::ContainerId => Some(id(facts).into()),
        F::ContainerFullId => Some(container.map_or(HOST, |c| c.id.as_str()).into()),
        F::ContainerStartTs => Some(started().into()),
        F::ContainerDuration => Some(started().map(|time| facts.view.time().saturating_sub(time)).into()),
        F::K8sNodeName => Some(facts.view.hostname.into()),
        _ => said(field, arg, container),
    }
}

/// Whether somebody is being asked about the container who may know the value of this field.
pub fn is_awaited(facts: &LiveFacts<'_>, field: FieldId) -> bool {
    use FieldId as F;
    let pending = facts.view.container().filter(|c| c.knowledge == Knowledge::Pending);
    pending.is_some_and(|container| match field {
        F::ContainerId | F::ContainerFullId | F::K8sNodeName => false,
        F::ContainerStartTs | F::ContainerDuration => container.made.is_none(),
        // The name of the group tells it, if it is a pod's in one of the usual ways.
        F::K8sPodUid | F::K8sPodId => container.pod_uid.is_none(),
        _ => true,
    })
}

/// Fields that the runtime or the API server has to say.
fn said<'a>(field: FieldId, arg: &FieldArg, container: Option<&'a Container>) -> Option<Value<'a>> {
    use FieldId as F;
    let metadata = container.map(|c| &c.metadata);
    let pod = container.and_then(Container::pod);
    let probe = |of: fn(&'a Container) -> Option<&'a str>| {
        container.filter(|c| c.knowledge == Knowledge::Known).map(|c| of(c).unwrap_or(NO_PROBE))
    };
    Some(match field {
        F::ContainerName => match metadata {
            None => HOST.into(),
            Some(m) => m.name.as_deref().into(),
        },
        F::ContainerType => container.map_or(HOST, Container::runtime).into(),
        F::ContainerImage => metadata.and_then(|m| m.image.as_deref()).into(),
        F::ContainerImageId => metadata.and_then(|m| m.image_id.as_deref()).into(),
        F::ContainerImageRepository => container.and_then(Container::image_repository).into(),
        F::ContainerImageTag => container.and_then(Container::image_tag).into(),
        F::ContainerImageDigest => container.and_then(Container::image_digest).into(),
        F::ContainerPrivileged => metadata.and_then(|m| m.privileged).into(),
        F::ContainerMounts => {
            let mounts = metadata.and_then(|m| m.mounts.as_ref());
            mounts.map(|all| Value::owned(joined(all.iter().map(Mount::to_string), ","))).unwrap_or_default()
        }
        F::ContainerMount
        | F::ContainerMountSource
        | F::ContainerMountDest
        | F::ContainerMountMode
        | F::ContainerMountRdwr
        | F::ContainerMountPropagation => {
            let found = metadata.and_then(|m| mount(m.mounts.as_deref()?, field, arg));
            found.map(|m| part_of_mount(field, m)).unwrap_or_default()
        }
        F::ContainerHealthcheck => probe(|c| c.metadata.healthcheck.as_deref()).into(),
        F::ContainerLivenessProbe => probe(|c| c.probes()?.liveness.as_deref()).into(),
        F::ContainerReadinessProbe => probe(|c| c.probes()?.readiness.as_deref()).into(),
        F::ContainerIp => metadata.and_then(|m| m.ip.as_deref()).into(),
        F::ContainerCniJson | F::K8sPodCniJson => metadata.and_then(|m| m.cni.as_deref()).into(),
        F::ContainerHostPid => metadata.and_then(|m| m.host_pid).into(),
        F::ContainerHostNetwork => metadata.and_then(|m| m.host_network).into(),
        F::ContainerHostIpc => metadata.and_then(|m| m.host_ipc).into(),
        F::ContainerLabel => metadata.and_then(|m| label(&m.labels, arg)).into(),
        F::ContainerLabels => metadata.map(|m| labels(&m.labels)).unwrap_or_default(),
        F::K8sNsName => pod.and_then(|p| named(&p.namespace)).into(),
        F::K8sNsLabel => pod.and_then(|p| label(&p.namespace_labels, arg)).into(),
        F::K8sPodUid | F::K8sPodId => container.and_then(Container::pod_uid).into(),
        F::K8sPodName => pod.and_then(|p| named(&p.name)).into(),
        F::K8sPodSandboxId => metadata.and_then(|m| m.sandbox_id.as_deref()).map(short_id).into(),
        F::K8sPodFullSandboxId => metadata.and_then(|m| m.sandbox_id.as_deref()).into(),
        F::K8sPodLabel => pod.and_then(|p| label(&p.labels, arg)).into(),
        F::K8sPodLabels => pod.map(|p| labels(&p.labels)).unwrap_or_default(),
        F::K8sPodIp => pod.and_then(|p| p.ip.as_deref()).into(),
        F::K8sDeploymentName => pod.and_then(|p| p.deployment.as_deref()).into(),
        F::K8sRsName => {
            let owner = pod.and_then(|p| p.owner.as_ref()).filter(|owner| owner.kind == "ReplicaSet");
            owner.map(|owner| owner.name.as_str()).into()
        }
        F::K8sSaName => pod.and_then(|p| p.service_account.as_deref()).into(),
        _ => return None,
    })
}

/// Empty is not known.
fn named(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

fn joined(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.collect::<Vec<_>>().join(separator)
}

/// `key:value, key, …` in the order of the keys, without those that Kubernetes uses itself. Absent if there is none.
fn labels(labels: &BTreeMap<String, String>) -> Value<'static> {
    let own = labels.iter().filter(|(key, _)| !is_internal_label(key));
    let text = joined(own.map(|(k, v)| if v.is_empty() { k.clone() } else { format!("{k}:{v}") }), ", ");
    if text.is_empty() { Value::Absent } else { Value::owned(text) }
}

/// A label by its name, which may look like a number.
fn label<'a>(labels: &'a BTreeMap<String, String>, arg: &FieldArg) -> Option<&'a str> {
    let name: Cow<'_, str> = match arg {
        FieldArg::Key(key) => Cow::Borrowed(key),
        FieldArg::Index(index) => Cow::Owned(index.to_string()),
        FieldArg::None => return None,
    };
    labels.get(&*name).map(String::as_str)
}

/// A mount by its position, or the first whose source (for the field that is the source: whose destination) matches.
fn mount<'a>(mounts: &'a [Mount], field: FieldId, arg: &FieldArg) -> Option<&'a Mount> {
    if let Some(index) = arg.index() {
        return mounts.get(index as usize);
    }
    let pattern = Glob::new(arg.key()?.as_bytes(), false);
    mounts.iter().find(|mount| {
        let path = if field == FieldId::ContainerMountSource { &mount.dest } else { &mount.source };
        pattern.matches(path.as_bytes())
    })
}

fn part_of_mount(field: FieldId, mount: &Mount) -> Value<'_> {
    match field {
        FieldId::ContainerMountSource => mount.source.as_str().into(),
        FieldId::ContainerMountDest => mount.dest.as_str().into(),
        FieldId::ContainerMountMode => mount.mode.as_str().into(),
        FieldId::ContainerMountRdwr => if mount.rdwr { "true" } else { "false" }.into(),
        FieldId::ContainerMountPropagation => mount.propagation.as_str().into(),
        _ => Value::owned(mount.to_string()),
    }
}
