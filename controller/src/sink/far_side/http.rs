//! What the far sides that speak HTTP have in common.

use std::{collections::BTreeMap, error::Error, io::Write, time::Duration};

use flate2::{Compression as Level, write::GzEncoder};
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    Client, StatusCode,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    },
    redirect::Policy,
};

use super::{excerpt, tls};
use crate::sink::{
    Outcome, Report,
    config::{self, Auth, Compression, Tls},
    secrets::{SecretText, Secrets},
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// A server.
pub(super) struct Http {
    client: Client,
    compression: Compression,
    /// What must not be told, should the server repeat it.
    secrets: Vec<SecretText>,
}

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// What is common to the settings.
#[derive(Default)]
pub(super) struct Options<'a> {
    pub(super) headers: Option<&'a BTreeMap<String, config::HeaderValue>>,
    pub(super) auth: Option<&'a Auth>,
    pub(super) tls: Option<&'a Tls>,
    pub(super) compression: Compression,
    /// The whole value of `Authorization`.
    pub(super) authorization: Option<SecretText>,
}

impl Http {
    pub(super) async fn new(options: Options<'_>, secrets: &dyn Secrets) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let mut told = Vec::new();
        for (name, value) in options.headers.into_iter().flatten() {
            let text = secrets.header(value).await.map_err(|error| format!("headers.{name}: {error}"))?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            headers.insert(name, sensitive(text.expose())?);
            if value.value.is_none() {
                told.push(text);
            }
        }
        let authorization = match options.authorization {
            Some(text) => Some(text),
            None => authorization(options.auth, secrets).await?,
        };
        if let Some(text) = authorization {
            headers.insert(AUTHORIZATION, sensitive(text.expose())?);
            // A server might repeat the token alone.
            told.extend(text.expose().split_once(' ').map(|(_, token)| SecretText::new(token)));
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client(options.tls, secrets).await?)
            .default_headers(headers)
            .user_agent(concat!("vedette/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self { client, compression: options.compression, secrets: told })
    }

    /// Sends a body.
    ///
    /// # Errors
    /// There was no answer, or it broke off.
    pub(super) async fn post(&self, url: &str, kind: &'static str, body: Vec<u8>) -> Result<Answer, String> {
        self.post_with(url, kind, body, &[]).await
    }

    /// The same with more headers.
    pub(super) async fn post_with(
        &self,
        url: &str,
        kind: &'static str,
        body: Vec<u8>,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, String> {
        let mut request = self.client.post(url).header(CONTENT_TYPE, kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request = match self.compression {
            Compression::None => request.body(body),
            Compression::Gzip => {
                request.header(CONTENT_ENCODING, "gzip").body(gzip(&body).map_err(|e| e.to_string())?)
            }
        };
        // The URL may have a secret in it, as those of chat services do.
        let mut response = request.send().await.map_err(|error| chain(&error.without_url()))?;
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(pause);
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| chain(&error.without_url()))? {
            if body.len() + part.len() > MAX_ANSWER {
                return Err(format!("the answer is larger than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, retry_after, body })
    }

    /// Why the server did not take it, in a line.
    pub(super) fn reason(&self, answer: &Answer) -> String {
        let mut text = excerpt(&answer.body);
        for secret in self.secrets.iter().filter(|secret| !secret.expose().is_empty()) {
            text = text.replace(secret.expose(), "(secret)");
        }
        let status = answer.status;
        if text.is_empty() {
            format!("HTTP status {status}")
        } else {
            format!("HTTP status {status}: {text}")
        }
    }

    /// What became of a batch that was one request.
    pub(super) fn report(&self, answer: &Answer, count: usize) -> Report {
        let outcome = match verdict(answer.status) {
            Verdict::Delivered => Outcome::Delivered,
            Verdict::Retry => Outcome::Retry(self.reason(answer)),
            Verdict::Refused => Outcome::RefusedTogether(self.reason(answer)),
        };
        Report {
            retry_after: answer.retry_after,
            stale: is_stale(answer.status),
            ..Report::all(count, outcome)
        }
    }
}

/// What a status says about what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    /// The server, the way there or our settings are at fault; what was sent is not.
    Retry,
    /// What was sent is at fault.
    Refused,
}

pub(super) fn verdict(status: StatusCode) -> Verdict {
    match status.as_u16() {
        200..300 => Verdict::Delivered,
        // Not us, not here, not this way, not now: somebody will change the settings or the server.
        401..=405 | 407 | 408 | 409 | 410 | 421 | 423..=426 | 429 | 451 => Verdict::Retry,
        400..500 => Verdict::Refused,
        _ => Verdict::Retry,
    }
}

/// Whether the server does not accept who we are.
pub(super) fn is_stale(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN
}

/// Puts a path behind a URL.
pub(super) fn join(url: &str, path: &str) -> String {
    format!("{}/{path}", url.trim_end_matches('/'))
}

async fn authorization(auth: Option<&Auth>, secrets: &dyn Secrets) -> Result<Option<SecretText>, String> {
    let Some(auth) = auth else { return Ok(None) };
    let read = async |secret| secrets.read(secret).await.map_err(|error| format!("auth: {error}"));
    let text = if let Some(basic) = &auth.basic {
        let password = read(&basic.password).await?;
        let both = format!("{}:{}", basic.username, password.expose());
        format!("Basic {}", data_encoding::BASE64.encode(both.as_bytes()))
    } else if let Some(token) = &auth.bearer {
        format!("Bearer {}", read(token).await?.expose())
    } else if let Some(key) = &auth.api_key {
        format!("ApiKey {}", read(key).await?.expose())
    } else {
        return Ok(None);
    };
    Ok(Some(SecretText::new(text)))
}

fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| "a header has characters that it must not have")?;
    value.set_sensitive(true);
    Ok(value)
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// The value of `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn pause(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(value.trim()).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default())
}

/// An error with what is behind it, in a line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_seconds_or_dates() {
        assert_eq!(pause("120"), Some(Duration::from_secs(120)));
        assert_eq!(pause("soon"), None);
        assert_eq!(pause("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let far = pause("Sat, 06 Nov 2094 08:49:37 GMT").unwrap();
        assert!(far > Duration::from_hours(24 * 365));
    }

    #[test]
    fn statuses_tell_whose_fault_it_is() {
        let of = |status: u16| verdict(StatusCode::from_u16(status).unwrap());
        for status in [200, 201, 202, 204] {
            assert_eq!(of(status), Verdict::Delivered, "{status}");
        }
        for status in [301, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
            assert_eq!(of(status), Verdict::Retry, "{status}");
        }
        for status in [400, 406, 411, 413, 415, 422, 431] {
            assert_eq!(of(status), Verdict::Refused, "{status}");
        }
    }
}
