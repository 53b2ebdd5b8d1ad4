//! Secrets: where they are is in the settings, what they are is read when a sink is made.

use std::{env, fmt};

use async_trait::async_trait;

use super::config::{HeaderValue, Secret};

/// A secret. It cannot be shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for sending it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads secrets.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// Reads one.
    ///
    /// # Errors
    /// It is not there; the text says where it was looked for.
    async fn read(&self, secret: &Secret) -> Result<SecretText, String>;

    /// Reads the value of a header.
    ///
    /// # Errors
    /// As [`Self::read`].
    async fn header(&self, value: &HeaderValue) -> Result<SecretText, String> {
        if let Some(text) = &value.value {
            return Ok(SecretText::new(text.clone()));
        }
        let HeaderValue { env, file, secret, .. } = value.clone();
        self.read(&Secret { env, file, secret }).await
    }
}

/// Secrets in the environment and in files.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalSecrets;

#[async_trait]
impl Secrets for LocalSecrets {
    async fn read(&self, secret: &Secret) -> Result<SecretText, String> {
        let text = match secret {
            Secret { env: Some(name), .. } => {
                env::var(name).map_err(|_| format!("the environment has no text in {name}"))?
            }
            Secret { file: Some(path), .. } => tokio::fs::read_to_string(path)
                .await
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            Secret { secret: Some(key), .. } => {
                return Err(format!("there is no Secret {} without Kubernetes", key.name));
            }
            Secret { .. } => return Err("it is not said where the secret is".to_owned()),
        };
        match text.trim_end() {
            "" => Err("the secret is empty".to_owned()),
            text => Ok(SecretText::new(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_and_the_environment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        let of_file = Secret { file: Some(path.clone()), ..Secret::default() };
        let read = LocalSecrets.read(&of_file).await.unwrap();
        assert_eq!(read.expose(), "s3cret");
        assert_eq!(format!("{read:?}"), "(secret)");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(LocalSecrets.read(&of_file).await.unwrap_err(), "the secret is empty");
        let of_env = Secret { env: Some("PATH".to_owned()), ..Secret::default() };
        assert!(!LocalSecrets.read(&of_env).await.unwrap().expose().is_empty());
        let missing = Secret { env: Some("VEDETTE_NO_SUCH".to_owned()), ..Secret::default() };
        assert!(LocalSecrets.read(&missing).await.unwrap_err().contains("VEDETTE_NO_SUCH"));
        let value = HeaderValue { value: Some("plain".to_owned()), ..HeaderValue::default() };
        assert_eq!(LocalSecrets.header(&value).await.unwrap().expose(), "plain");
    }
}
