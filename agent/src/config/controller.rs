//! Settings of the way to the controller.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{ConfigError, parse_wait};
use crate::{
    sink::SyncPolicy,
    spool::LARGEST,
    uplink::{Authority, ControllerUrl, Credentials, UplinkSettings},
};

/// Where spool and policies are kept, unless told otherwise.
pub const DEFAULT_DATA: &str = "/var/lib/vedette";

/// How large the spool may be, unless told otherwise.
const DEFAULT_SPOOL: u64 = 256 << 20;

/// The command line's part.
#[derive(Clone, Debug, Default, Args)]
pub struct ControllerArgs {
    /// Take policies from this controller and send it the alerts: https://HOST:PORT, on this host also
    /// http://127.0.0.1:PORT or unix:PATH.
    #[arg(long, value_name = "URL")]
    pub controller: Option<ControllerUrl>,

    /// Authorities that the controller's certificate may be of (PEM).
    #[arg(long, value_name = "FILE")]
    pub controller_ca: Option<PathBuf>,

    /// Within a pod, while that file is not there: a ConfigMap of the pod's namespace that has it under the file's name.
    #[arg(long, value_name = "NAME")]
    pub controller_ca_config_map: Option<String>,

    /// The token to show; read again whenever it is shown.
    #[arg(long, value_name = "FILE")]
    pub controller_token: Option<PathBuf>,

    /// Our certificate to show (PEM).
    #[arg(long, value_name = "FILE")]
    pub controller_client_cert: Option<PathBuf>,

    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE")]
    pub controller_client_key: Option<PathBuf>,

    /// The key that policies must be signed with [default: the first that the controller announces, kept for good].
    #[arg(long, value_name = "FILE")]
    pub signing_key: Option<PathBuf>,

    /// Where alerts wait for the controller and its policies are kept [default: /var/lib/vedette].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// How many bytes of alerts may wait, e.g. 256MiB; then the least urgent and oldest go first [default: 256MiB].
    #[arg(long, value_name = "SIZE", value_parser = parse_spool_size)]
    pub spool_size: Option<u64>,

    /// When waiting alerts are brought to the disk, before they are sent: always, never, or every so often, e.g. 100ms
    /// [default: 100ms].
    #[arg(long, value_name = "WHEN", value_parser = parse_sync)]
    pub spool_sync: Option<SyncPolicy>,
}

/// The file's part.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct ControllerFile {
    url: Option<ControllerUrl>,
    ca: Option<PathBuf>,
    ca_config_map: Option<String>,
    token: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    signing_key: Option<PathBuf>,
    data: Option<PathBuf>,
    spool_size: Option<SpoolSize>,
    spool_sync: Option<SpoolSync>,
}

#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
struct SpoolSize(u64);

impl TryFrom<String> for SpoolSize {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_spool_size(&text).map(Self)
    }
}

#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
struct SpoolSync(SyncPolicy);

impl TryFrom<String> for SpoolSync {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        parse_sync(&text).map(Self)
    }
}

/// Puts the settings together; nothing, if there is no controller.
///
/// # Errors
/// What is given does not do for the controller's URL.
pub(super) fn uplink(
    args: ControllerArgs,
    file: ControllerFile,
) -> Result<Option<UplinkSettings>, ConfigError> {
    let Some(url) = args.controller.or(file.url) else { return Ok(None) };
    let config_map = args.controller_ca_config_map.or(file.ca_config_map);
    let certificate = match (
        args.controller_client_cert.or(file.client_cert),
        args.controller_client_key.or(file.client_key),
    ) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(certificate), None) => {
            return Err(ConfigError::Missing(format!(
                "controller.clientCert: {} needs its key: give controller.clientKey (PEM), or --controller-client-key",
                certificate.display()
            )));
        }
        (None, Some(key)) => {
            return Err(ConfigError::Missing(format!(
                "controller.clientKey: {} needs its certificate: give controller.clientCert (PEM), or \
                 --controller-client-cert",
                key.display()
            )));
        }
    };
    let credentials = Credentials {
        ca: args.controller_ca.or(file.ca).map(|file| Authority { file, config_map }),
        token: args.controller_token.or(file.token),
        certificate,
    };
    if matches!(url, ControllerUrl::Tls { .. }) && credentials.ca.is_none() {
        return Err(ConfigError::Missing(format!(
            "{url} needs --controller-ca: the file ca.pem that the controller wrote into its data directory"
        )));
    }
    if credentials.token.is_none() && credentials.certificate.is_none() {
        return Err(ConfigError::Missing(format!(
            "{url} needs --controller-token, or --controller-client-cert and --controller-client-key"
        )));
    }
    Ok(Some(UplinkSettings {
        url,
        credentials,
        signing_key: args.signing_key.or(file.signing_key),
        data: args.data.or(file.data).unwrap_or_else(|| DEFAULT_DATA.into()),
        spool_bytes: args.spool_size.or(file.spool_size.map(|size| size.0)).unwrap_or(DEFAULT_SPOOL),
        sync: args.spool_sync.or(file.spool_sync.map(|sync| sync.0)).unwrap_or_default(),
    }))
}

/// Reads the spool's size: bytes, or with `MiB` or `GiB`; between one MiB and [`LARGEST`].
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_spool_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" | "Ki" => 10,
        "M" | "MiB" | "Mi" => 20,
        "G" | "GiB" | "Gi" => 30,
        other => return Err(format!("unknown unit `{other}`: use MiB or GiB")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is not a size such as 256MiB"))?;
    match number.checked_mul(1 << shift) {
        Some(bytes) if (1 << 20..=LARGEST).contains(&bytes) => Ok(bytes),
        _ => Err(format!("a spool has between 1MiB and {}GiB, not {text}", LARGEST >> 30)),
    }
}

/// Reads when the spool is made durable.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_sync(text: &str) -> Result<SyncPolicy, String> {
    match text.trim() {
        "always" => Ok(SyncPolicy::Always),
        "never" => Ok(SyncPolicy::Never),
        time => match parse_wait(time)? {
            Duration::ZERO => Ok(SyncPolicy::Always),
            interval => Ok(SyncPolicy::Every(interval)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_controller_needs() {
        let args =
            |url: &str| ControllerArgs { controller: Some(url.parse().unwrap()), ..Default::default() };
        let get = |args| uplink(args, ControllerFile::default());
        assert_eq!(get(ControllerArgs::default()).unwrap(), None);
        assert!(get(args("https://c")).unwrap_err().to_string().contains("--controller-ca"));
        let with_ca = ControllerArgs { controller_ca: Some("/ca".into()), ..args("https://c") };
        assert!(get(with_ca.clone()).unwrap_err().to_string().contains("--controller-token"));
        let settings = get(ControllerArgs {
            controller_token: Some("/t".into()),
            spool_sync: Some(SyncPolicy::Always),
            ..with_ca
        });
        let settings = settings.unwrap().unwrap();
        assert_eq!((settings.data, settings.spool_bytes), (DEFAULT_DATA.into(), DEFAULT_SPOOL));
        assert_eq!(settings.sync, SyncPolicy::Always);
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let file = |text: &str| serde_saphyr::from_str::<ControllerFile>(text).unwrap();
        let get = |text: String| uplink(ControllerArgs::default(), file(&text));
        let base = "{url: 'https://c', ca: /ca, token: /t";
        let error = get(format!("{base}, clientCert: /c}}")).unwrap_err().to_string();
        assert!(error.contains("controller.clientCert") && error.contains("clientKey"), "{error}");
        let error = get(format!("{base}, clientKey: /k}}")).unwrap_err().to_string();
        assert!(error.contains("controller.clientKey") && error.contains("clientCert"), "{error}");
        let both = get(format!("{base}, clientCert: /c, clientKey: /k}}")).unwrap().unwrap();
        assert_eq!(both.credentials.certificate, Some(("/c".into(), "/k".into())));
        // One of the command line and one of the file are a pair, too.
        let args = ControllerArgs { controller_client_key: Some("/k2".into()), ..ControllerArgs::default() };
        let both = uplink(args, file(&format!("{base}, clientCert: /c}}"))).unwrap().unwrap();
        assert_eq!(both.credentials.certificate, Some(("/c".into(), "/k2".into())));
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(parse_spool_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_sync("50ms"), Ok(SyncPolicy::Every(Duration::from_millis(50))));
        assert_eq!(parse_sync("0"), Ok(SyncPolicy::Always));
        for bad in ["", "5", "1KiB", "5GiB", "9999999999999999GiB", "2TB"] {
            assert!(parse_spool_size(bad).is_err(), "{bad}");
        }
        assert!(parse_sync("sometimes").is_err());
    }
}
