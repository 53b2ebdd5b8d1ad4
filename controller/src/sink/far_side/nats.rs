//! NATS JetStream. Every alert is acknowledged by the stream; its uid is the message id.

use std::borrow::Cow;

use async_nats::{
    Client, ConnectOptions, HeaderMap, ToServerAddrs,
    header::NATS_MESSAGE_ID,
    jetstream::{self, context::PublishErrorKind},
};
use async_trait::async_trait;
use uuid::Uuid;

use super::tls;
use crate::sink::{Item, Outcome, Report, Sink, config, config::NatsSink as Config, secrets::Secrets};

pub(super) struct NatsSink {
    client: Client,
    jetstream: jetstream::Context,
    subject: String,
}

/// Connects to NATS servers.
pub(crate) async fn connect(
    urls: &[String],
    auth: Option<&config::NatsAuth>,
    tls: Option<&config::Tls>,
    secrets: &dyn Secrets,
) -> Result<Client, String> {
    let read = async |secret| secrets.read(secret).await.map_err(|error| format!("auth: {error}"));
    let mut options = ConnectOptions::new().name("vedette-controller");
    if let Some(auth) = auth {
        if let Some(basic) = &auth.basic {
            let password = read(&basic.password).await?;
            options = options.user_and_password(basic.username.clone(), password.expose().to_owned());
        }
        if let Some(token) = &auth.token {
            options = options.token(read(token).await?.expose().to_owned());
        }
        if let Some(credentials) = &auth.credentials {
            let text = read(credentials).await?;
            // What is wrong with it is not told: it might show a part of it.
            options = options
                .credentials(text.expose())
                .map_err(|_| "auth.credentials: it is no credentials file".to_owned())?;
        }
    }
    if tls.is_some() || urls.iter().any(|url| url.starts_with("tls:")) {
        options = options.tls_client_config(tls::client(tls, secrets).await?).require_tls(true);
    }
    let addresses: Vec<_> = urls.to_server_addrs().map_err(|error| format!("urls: {error}"))?.collect();
    options.connect(addresses).await.map_err(|error| super::http::chain(&error))
}

impl NatsSink {
    pub(super) async fn new(config: &Config, secrets: &dyn Secrets) -> Result<Self, String> {
        let client = connect(&config.urls, config.auth.as_ref(), config.tls.as_ref(), secrets).await?;
        let jetstream = jetstream::new(client.clone());
        Ok(Self { client, jetstream, subject: config.subject.clone() })
    }

    fn subject(&self, item: &Item) -> String {
        if self.subject.contains("{node}") {
            self.subject.replace("{node}", &token(&item.entry.node))
        } else {
            self.subject.clone()
        }
    }
}

/// A name as one part of a subject.
pub(crate) fn token(name: &str) -> String {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>');
    name.chars().map(|c| if bad(c) { '_' } else { c }).collect()
}

/// A uid as the id of a message: itself, or what stands for it, if a header cannot have it.
pub(crate) fn message_id(uid: &str) -> Cow<'_, str> {
    if !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_graphic()) {
        Cow::Borrowed(uid)
    } else {
        Cow::Owned(Uuid::new_v5(&Uuid::NAMESPACE_OID, uid.as_bytes()).to_string())
    }
}

#[async_trait]
impl Sink for NatsSink {
    async fn send(&mut self, batch: &[Item]) -> Report {
        let largest = self.client.server_info().max_payload;
        // All are on their way before the first is waited for.
        let mut acks = Vec::with_capacity(batch.len());
        for item in batch {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, &*message_id(&item.entry.uid));
            // The limit counts the headers too.
            let size = item.body.len() + item.entry.uid.len() + 64;
            if largest > 0 && size > largest {
                acks.push(Err(Outcome::Refused(format!("{size} bytes, and the server takes {largest}"))));
                continue;
            }
            let sent =
                self.jetstream.publish_with_headers(self.subject(item), headers, item.body.clone()).await;
            match sent {
                Ok(ack) => acks.push(Ok(ack)),
                Err(error) => {
                    acks.push(Err(Outcome::Retry(super::http::chain(&error))));
                    break;
                }
            }
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        for ack in acks {
            outcomes.push(match ack {
                Ok(ack) => match ack.await {
                    Ok(_) => Outcome::Delivered,
                    Err(error) if error.kind() == PublishErrorKind::StreamNotFound => Outcome::Retry(
                        "no stream takes the subject: make one, or correct `subject`".to_owned(),
                    ),
                    Err(error) => Outcome::Retry(super::http::chain(&error)),
                },
                Err(outcome) => outcome,
            });
        }
        outcomes.resize(batch.len(), Outcome::Retry("those before it were not sent".to_owned()));
        Report { outcomes, retry_after: None, stale: false }
    }

    async fn close(&mut self) {
        let _ = self.client.drain().await;
    }
}
