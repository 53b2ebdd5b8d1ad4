//! Asking validating webhooks over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value as Json, json};

use super::Shared;
use super::store::{Key, Refusal};

/// Asks every webhook that wants to see the change.
pub async fn ask(
    shared: &Shared,
    key: &Key,
    operation: &str,
    object: &Json,
    old: Option<&Json>,
) -> Result<(), Refusal> {
    let configurations: Vec<Json> = {
        let store = shared.store.lock().unwrap();
        let all = store.objects.iter().filter(|(key, _)| key.1 == "validatingwebhookconfigurations");
        all.map(|(_, object)| object.clone()).collect()
    };
    for webhook in configurations.iter().flat_map(|c| c["webhooks"].as_array().unwrap()) {
        let has = |rule: &Json, name: &str, word: &str| {
            rule[name].as_array().unwrap().iter().any(|one| one == word)
        };
        let wanted = webhook["rules"].as_array().unwrap().iter().any(|rule| {
            has(rule, "apiGroups", &key.0)
                && has(rule, "resources", &key.1)
                && has(rule, "operations", operation)
        });
        if !wanted {
            continue;
        }
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "request-1", "operation": operation, "name": key.3, "namespace": key.2,
                "kind": {"group": key.0, "version": "v1alpha1", "kind": object["kind"]},
                "resource": {"group": key.0, "version": "v1alpha1", "resource": key.1},
                "userInfo": {"username": "test"}, "object": object, "oldObject": old, "dryRun": false,
            },
        });
        let answer =
            tokio::time::timeout(Duration::from_secs(5), call(shared, &webhook["clientConfig"], &review))
                .await;
        let answer = answer.unwrap_or_else(|_| Err(io::Error::other("timeout")));
        match answer {
            Ok(answer) => {
                assert_eq!(answer["response"]["uid"], "request-1");
                if answer["response"]["allowed"] != true {
                    let message = answer["response"]["status"]["message"].as_str().unwrap_or_default();
                    let name = webhook["name"].as_str().unwrap();
                    let message = format!("admission webhook \"{name}\" denied the request: {message}");
                    return Err((400, "BadRequest", message));
                }
            }
            Err(_) if webhook["failurePolicy"] == "Ignore" => {}
            Err(error) => return Err((500, "InternalError", format!("failed calling webhook: {error}"))),
        }
    }
    Ok(())
}

async fn call(shared: &Shared, config: &Json, review: &Json) -> io::Result<Json> {
    let service = &config["service"];
    let name =
        format!("{}.{}.svc", service["name"].as_str().unwrap(), service["namespace"].as_str().unwrap());
    let address: SocketAddr =
        *shared.services.lock().unwrap().get(&name).ok_or(io::Error::other("no such service"))?;
    let bundle = config["caBundle"].as_str().ok_or(io::Error::other("no caBundle"))?;
    let pem = data_encoding::BASE64.decode(bundle.as_bytes()).map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(address).await?;
    let server = ServerName::try_from(name.clone()).map_err(io::Error::other)?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(server, stream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let path = service["path"].as_str().unwrap_or("/");
    let request = Request::post(format!("{path}?timeout=5s"))
        .header("host", name)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(review.to_string())))
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    if !response.status().is_success() {
        return Err(io::Error::other(response.status().to_string()));
    }
    let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    serde_json::from_slice(&body).map_err(io::Error::other)
}
