//! What the controller keeps in its namespace: its keys in a Secret, and what everybody may know in a ConfigMap.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::secrets::{SecretError, SecretStore};
use crate::sink::config::Secret as SecretPlace;
use crate::sink::secrets::{LocalSecrets, SecretText, Secrets};

/// The name of the Secret, of the ConfigMap and of the webhook's configuration.
pub const NAME: &str = "vedette-controller";

/// How long to wait after somebody else was faster.
const PAUSE: Duration = Duration::from_millis(100);

/// What is published under this name is also what the API server has to trust when it asks the webhook.
const CA: &str = "ca.pem";

/// Keeps secrets in the cluster.
#[derive(Clone)]
pub struct ClusterSecrets {
    client: Client,
    namespace: String,
}

impl ClusterSecrets {
    /// In this namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Writes a key of the ConfigMap, unless it says so already. Says whether somebody else was faster.
    async fn write_config_map(&self, name: &str, text: &str) -> kube::Result<bool> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let Some(mut map) = api.get_opt(NAME).await? else {
            let data = BTreeMap::from([(name.to_owned(), text.to_owned())]);
            let map = ConfigMap { metadata: metadata(), data: Some(data), ..ConfigMap::default() };
            return conflict(api.create(&PostParams::default(), &map).await);
        };
        let data = map.data.get_or_insert_default();
        if data.get(name).is_some_and(|old| old == text) {
            return Ok(false);
        }
        data.insert(name.to_owned(), text.to_owned());
        conflict(api.replace(NAME, &PostParams::default(), &map).await)
    }

    /// Tells the API server whom to trust when it asks the webhook. There need be none.
    async fn write_bundle(&self, pem: &str) -> kube::Result<bool> {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let Some(mut configuration) = api.get_opt(NAME).await? else { return Ok(false) };
        let bundle = ByteString(pem.as_bytes().to_vec());
        let mut changed = false;
        for webhook in configuration.webhooks.iter_mut().flatten() {
            if webhook.client_config.ca_bundle.as_ref() != Some(&bundle) {
                webhook.client_config.ca_bundle = Some(bundle.clone());
                changed = true;
            }
        }
        if !changed {
            return Ok(false);
        }
        conflict(api.replace(NAME, &PostParams::default(), &configuration).await)
    }
}

fn metadata() -> ObjectMeta {
    let labels = BTreeMap::from([("app.kubernetes.io/name".to_owned(), "vedette".to_owned())]);
    ObjectMeta { name: Some(NAME.into()), labels: Some(labels), ..ObjectMeta::default() }
}

/// Whether a write came too late.
fn conflict<T>(written: kube::Result<T>) -> kube::Result<bool> {
    match written {
        Ok(_) => Ok(false),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(true),
        Err(error) => Err(error),
    }
}

fn failed(name: &str) -> impl Fn(kube::Error) -> SecretError {
    move |error| SecretError { name: name.to_owned(), why: error.to_string() }
}

#[async_trait]
impl SecretStore for ClusterSecrets {
    async fn load(&self, name: &str) -> Result<Option<Vec<u8>>, SecretError> {
        let secret = self.secrets().get_opt(NAME).await.map_err(failed(name))?;
        Ok(secret.and_then(|secret| secret.data?.remove(name)).map(|bytes| bytes.0))
    }

    async fn replace(&self, name: &str, before: Option<&[u8]>, secret: &[u8]) -> Result<bool, SecretError> {
        let api = self.secrets();
        let bytes = ByteString(secret.to_vec());
        let Some(mut object) = api.get_opt(NAME).await.map_err(failed(name))? else {
            if before.is_some() {
                return Ok(false);
            }
            let data = BTreeMap::from([(name.to_owned(), bytes)]);
            let object = Secret { metadata: metadata(), data: Some(data), ..Secret::default() };
            return conflict(api.create(&PostParams::default(), &object).await)
                .map(|late| !late)
                .map_err(failed(name));
        };
        let data = object.data.get_or_insert_default();
        if data.get(name).map(|bytes| bytes.0.as_slice()) != before {
            return Ok(false);
        }
        data.insert(name.to_owned(), bytes);
        // With the version that was read: who comes second is refused.
        let late = conflict(api.replace(NAME, &PostParams::default(), &object).await);
        late.map(|late| !late).map_err(failed(name))
    }

    async fn publish(&self, name: &str, text: &str) -> Result<(), SecretError> {
        while self.write_config_map(name, text).await.map_err(failed(name))? {
            tokio::time::sleep(PAUSE).await;
        }
        if name == CA {
            while self.write_bundle(text).await.map_err(failed(name))? {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}

/// What sinks are told to read from Secrets of the controller's namespace, and what they read elsewhere.
#[async_trait]
impl Secrets for ClusterSecrets {
    async fn read(&self, place: &SecretPlace) -> Result<SecretText, String> {
        let Some(key) = &place.secret else { return LocalSecrets.read(place).await };
        // Who may write sinks would have them sent to wherever he likes.
        if key.name == NAME {
            return Err(format!(
                "the Secret {NAME} has the controller's own keys, which no sink gets; use another Secret"
            ));
        }
        let secret = self.secrets().get_opt(&key.name).await;
        let secret = secret.map_err(|error| format!("cannot read the Secret {}: {error}", key.name))?;
        let data = secret.and_then(|secret| secret.data);
        let data = data.ok_or_else(|| format!("there is no Secret {} in {}", key.name, self.namespace))?;
        let value =
            data.get(&key.key).ok_or_else(|| format!("the Secret {} has no key {}", key.name, key.key))?;
        match std::str::from_utf8(&value.0).map(str::trim_end) {
            Ok("") => Err(format!("the key {} of the Secret {} is empty", key.key, key.name)),
            Ok(text) => Ok(SecretText::new(text)),
            Err(_) => Err(format!("the key {} of the Secret {} is no text", key.key, key.name)),
        }
    }
}
