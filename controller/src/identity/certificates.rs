//! Client certificates. The connection has been verified against the client authorities; here the name is read: a URI
//! among the subject's alternative names, `urn:vedette:node:NAME` or `urn:vedette:operator:NAME`.

use async_trait::async_trait;
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use super::{AuthError, Authenticator, Credentials, Identity, Role, is_node_name};

/// Knows callers by their certificates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Certificates;

#[async_trait]
impl Authenticator for Certificates {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<Identity>, AuthError> {
        credentials.certificate.map(identity).transpose()
    }
}

fn identity(der: &[u8]) -> Result<Identity, AuthError> {
    let refuse = |why: &str| AuthError::Refused(format!("the client certificate {why}"));
    let (_, certificate) = parse_x509_certificate(der).map_err(|_| refuse("cannot be read"))?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| refuse("has alternative names that cannot be read"))?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        let GeneralName::URI(uri) = name else { continue };
        if let Some(node) = uri.strip_prefix("urn:vedette:node:").filter(|node| is_node_name(node)) {
            return Ok(Identity { name: node.into(), role: Role::Agent(Some(node.into())) });
        }
        if let Some(name) = uri.strip_prefix("urn:vedette:operator:") {
            return Ok(Identity { name: name.into(), role: Role::Operator });
        }
    }
    Err(refuse("has no URI urn:vedette:node:NAME or urn:vedette:operator:NAME among its alternative names"))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(uri: Option<&str>) -> Vec<u8> {
        let mut params = CertificateParams::new(["x.example".to_owned()]).unwrap();
        params.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_name_is_in_the_uri() {
        let of = |uri| identity(&certificate(Some(uri)));
        assert_eq!(of("urn:vedette:node:n1").unwrap().role, Role::Agent(Some("n1".into())));
        assert_eq!(of("urn:vedette:operator:soc").unwrap().role, Role::Operator);
        assert!(of("urn:vedette:node:a/b").is_err());
        assert!(of("urn:other:node:n1").is_err());
        assert!(identity(&certificate(None)).is_err());
        assert!(identity(b"\x30\x03\x02\x01").is_err());
    }
}
