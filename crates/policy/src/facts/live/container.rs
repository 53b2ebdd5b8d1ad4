//! `container.*` and `k8s.*`.

use super::LiveFacts;
use crate::field::FieldId;
use crate::value::Value;

/// What container fields say outside of containers.
const HOST: &str = "host";

/// The value of a field of this family, or `None` where it belongs to another.
pub fn get<'a>(facts: &'a LiveFacts<'_>, field: FieldId) -> Option<Value<'a>> {
    use FieldId as F;
    let container = facts.view.container();
    Some(match field {
        F::ContainerId => container.map_or(HOST, |c| c.short_id()).into(),
        F::ContainerFullId => container.map_or(HOST, |c| c.id.as_str()).into(),
        F::ContainerName => match container {
            None => HOST.into(),
            Some(c) => c.name.as_deref().into(),
        },
        F::ContainerType => container.map_or(HOST, |c| c.runtime).into(),
        F::ContainerImage => container.and_then(|c| c.image.as_deref()).into(),
        F::ContainerImageRepository => {
            container.and_then(|c| c.image.as_deref()).map(|image| split_image(image).0).into()
        }
        F::ContainerImageTag => {
            container.and_then(|c| c.image.as_deref()).and_then(|image| split_image(image).1).into()
        }
        F::K8sPodUid | F::K8sPodId => container.and_then(|c| c.pod_uid.as_deref()).into(),
        F::K8sNodeName => facts.view.hostname.into(),
        _ => return None,
    })
}

/// Repository and tag of an image reference; a digest belongs to neither.
fn split_image(image: &str) -> (&str, Option<&str>) {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references() {
        for (image, repository, tag) in [
            ("nginx", "nginx", None),
            ("docker.io/library/nginx:1.27", "docker.io/library/nginx", Some("1.27")),
            ("localhost:5000/app", "localhost:5000/app", None),
            ("localhost:5000/app:v1@sha256:00", "localhost:5000/app", Some("v1")),
        ] {
            assert_eq!(split_image(image), (repository, tag), "{image}");
        }
    }
}
