//! The authorities that the controller's certificate may be of.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, Config};
use tokio::time::timeout;

/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where authorities are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// A file (PEM).
    pub file: PathBuf,
    /// Where the file is not there yet: a ConfigMap of the pod's namespace that has it under the file's name. The kubelet
    /// takes a minute or two until a pod sees one that was made later than the pod.
    pub config_map: Option<String>,
}

impl Authority {
    /// Reads them: PEM.
    ///
    /// # Errors
    /// They are nowhere, with the place where they should be.
    pub(super) async fn read(&self) -> io::Result<Vec<u8>> {
        let missing = match std::fs::read(&self.file) {
            Ok(pem) => return Ok(pem),
            Err(error) => error,
        };
        match &self.config_map {
            Some(name) if missing.kind() == io::ErrorKind::NotFound => {
                let config = Config::incluster().map_err(io::Error::other)?;
                published(config, name, &self.file).await
            }
            _ => Err(named(&self.file, &missing)),
        }
    }
}

/// What the ConfigMap says, asked of the API server.
async fn published(config: Config, name: &str, file: &Path) -> io::Result<Vec<u8>> {
    let key = file.file_name().unwrap_or_default().to_string_lossy();
    let client = Client::try_from(config).map_err(io::Error::other)?;
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let answer = timeout(PATIENCE, api.get(name)).await?;
    let map = answer.map_err(|error| io::Error::other(format!("the ConfigMap {name}: {error}")))?;
    match map.data.and_then(|mut data| data.remove(&*key)) {
        Some(pem) => Ok(pem.into_bytes()),
        None => Err(io::Error::other(format!("the ConfigMap {name} has no {key}"))),
    }
}

/// An error with the file that it is about.
pub(super) fn named(path: &Path, error: &dyn fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// An API server for one question.
    async fn answering(body: &'static str) -> (Config, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap().lines().next().unwrap().to_owned()
        });
        let mut config = Config::new(url.parse().unwrap());
        config.default_namespace = "vedette".into();
        (config, served)
    }

    #[tokio::test]
    async fn the_config_map_stands_in_for_the_file() {
        let (config, served) = answering(
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"ca.pem": "PEM"}}"#,
        )
        .await;
        let file = Path::new("/etc/vedette/ca/ca.pem");
        assert_eq!(published(config, "c", file).await.unwrap(), b"PEM");
        assert_eq!(served.await.unwrap(), "GET /api/v1/namespaces/vedette/configmaps/c HTTP/1.1");
        let (config, _served) =
            answering(r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}"#).await;
        let error = published(config, "c", file).await.unwrap_err().to_string();
        assert_eq!(error, "the ConfigMap c has no ca.pem");
    }

    #[tokio::test]
    async fn the_file_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let authority = |config_map: Option<&str>| Authority {
            file: file.clone(),
            config_map: config_map.map(str::to_owned),
        };
        let error = authority(None).read().await.unwrap_err().to_string();
        assert!(error.starts_with(file.to_str().unwrap()), "{error}");
        std::fs::write(&file, "PEM").unwrap();
        assert_eq!(authority(Some("c")).read().await.unwrap(), b"PEM");
    }
}
