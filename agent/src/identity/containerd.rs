//! containerd's own API: the name of a container's image, its labels, and the image's digest, for containers that were
//! not made through the CRI. Package `containerd.services.containers.v1` and `….images.v1`, by the field numbers of
//! <https://github.com/containerd/containerd/tree/main/api/services>.

use std::{collections::HashMap, path::PathBuf};

use prost::Message;
use tonic::{Request, Status};
use vedette_event::Metadata;

use super::{
    grpc::Socket,
    runtimes::{Bundle, filled},
};

const GET_CONTAINER: &str = "/containerd.services.containers.v1.Containers/Get";
const GET_IMAGE: &str = "/containerd.services.images.v1.Images/Get";

#[derive(Clone, PartialEq, Message)]
struct GetContainerRequest {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct GetContainerResponse {
    #[prost(message, optional, tag = "1")]
    container: Option<ContainerdContainer>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerdContainer {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(map = "string, string", tag = "2")]
    labels: HashMap<String, String>,
    #[prost(string, tag = "3")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct GetImageRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct GetImageResponse {
    #[prost(message, optional, tag = "1")]
    image: Option<ContainerdImage>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerdImage {
    #[prost(message, optional, tag = "3")]
    target: Option<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(string, tag = "2")]
    digest: String,
}

/// A containerd.
#[derive(Clone, Debug)]
pub struct Containerd {
    /// Its socket.
    pub path: PathBuf,
    socket: Socket,
}

impl Containerd {
    /// Nothing is opened yet.
    ///
    /// # Errors
    /// The path is not text.
    pub fn new(path: PathBuf) -> Result<Self, tonic::transport::Error> {
        Ok(Self { socket: Socket::new(&path)?, path })
    }

    /// Adds to what a bundle says what only containerd itself knows.
    ///
    /// # Errors
    /// Nobody answers, or the container is not known.
    pub async fn complete(&self, id: &str, bundle: &Bundle, metadata: &mut Metadata) -> Result<(), Status> {
        let request = GetContainerRequest { id: id.to_owned() };
        let found: GetContainerResponse = self.socket.call(GET_CONTAINER, within(bundle, request)?).await?;
        let container = found.container.unwrap_or_default();
        if let Some(name) = container.labels.get("nerdctl/name") {
            metadata.name = Some(name.clone());
        }
        metadata.labels.extend(container.labels);
        let Some(name) = filled(container.image) else { return Ok(()) };
        let request = GetImageRequest { name: name.clone() };
        metadata.image = Some(name);
        // The image may have been removed since.
        let image: Result<GetImageResponse, _> = self.socket.call(GET_IMAGE, within(bundle, request)?).await;
        metadata.image_digest =
            image.ok().and_then(|found| filled(found.image?.target?.digest)).or(metadata.image_digest.take());
        Ok(())
    }
}

/// Every call says in which namespace of containerd it is meant.
fn within<Q>(bundle: &Bundle, request: Q) -> Result<Request<Q>, Status> {
    let mut request = Request::new(request);
    let namespace = bundle
        .namespace
        .parse()
        .map_err(|_| Status::invalid_argument("the namespace is not a header value"))?;
    request.metadata_mut().insert("containerd-namespace", namespace);
    Ok(request)
}
