//! Service-account tokens, looked at by the API server.
//!
//! An agent's pod has a token for the audience `vedette-controller` that is bound to the pod, and so to its node; the API
//! server says which (Kubernetes 1.30 and later, `authentication.kubernetes.io/node-name` among the extra facts). Without
//! that, no token speaks for any node.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use tokio::sync::Semaphore;

use super::{AuthError, Authenticator, Credentials, Identity, Role, is_node_name};

/// For whom the tokens are made.
pub const AUDIENCE: &str = "vedette-controller";
/// The extra fact with the node's name.
const NODE: &str = "authentication.kubernetes.io/node-name";
/// How long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// Most answers that are remembered.
const REMEMBERED: usize = 50_000;
/// Questions to the API server at once.
const QUESTIONS: usize = 64;
/// Longest token.
const TOKEN: usize = 16 << 10;

/// Knows callers by their service-account tokens.
pub struct ServiceAccounts {
    client: Client,
    /// The service account of agents: `system:serviceaccount:NAMESPACE:NAME`.
    agents: String,
    known: Mutex<HashMap<String, (Instant, Identity)>>,
    questions: Semaphore,
}

impl std::fmt::Debug for ServiceAccounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccounts").field("agents", &self.agents).finish_non_exhaustive()
    }
}

impl ServiceAccounts {
    /// Agents have the service account of that name in the namespace.
    pub fn new(client: Client, namespace: &str, account: &str) -> Self {
        Self {
            client,
            agents: format!("system:serviceaccount:{namespace}:{account}"),
            known: Mutex::default(),
            questions: Semaphore::new(QUESTIONS),
        }
    }

    async fn ask(&self, token: &str) -> Result<Identity, AuthError> {
        let unavailable = |error: kube::Error| AuthError::Unavailable(error.to_string());
        let _slot = self.questions.acquire().await.map_err(|e| AuthError::Unavailable(e.to_string()))?;
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![AUDIENCE.to_owned()]),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await.map_err(unavailable)?;
        let status = answer.status.unwrap_or_default();
        let audience = status.audiences.iter().flatten().any(|audience| audience == AUDIENCE);
        let Some(user) = status.user.filter(|_| status.authenticated == Some(true) && audience) else {
            return Err(AuthError::Refused("the API server does not know this token for us".into()));
        };
        if user.username.as_ref() == Some(&self.agents) {
            return agent(&user);
        }
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some("vedette.dev".into()),
                    resource: Some("alerts".into()),
                    verb: Some("get".into()),
                    ..ResourceAttributes::default()
                }),
                user: user.username.clone(),
                uid: user.uid.clone(),
                groups: user.groups.clone(),
                extra: user.extra.clone(),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &review).await.map_err(unavailable)?;
        if answer.status.is_some_and(|status| status.allowed) {
            Ok(Identity { name: user.username.unwrap_or_default().into(), role: Role::Operator })
        } else {
            Err(AuthError::Refused("this user may not get alerts (group vedette.dev)".into()))
        }
    }
}

/// The agent of a node.
fn agent(user: &UserInfo) -> Result<Identity, AuthError> {
    let node = user.extra.as_ref().and_then(|extra| extra.get(NODE)).and_then(|values| values.first());
    match node.filter(|node| is_node_name(node)) {
        Some(node) => {
            Ok(Identity { name: node.as_str().into(), role: Role::Agent(Some(node.as_str().into())) })
        }
        None => Err(AuthError::Refused("the token is bound to no node".into())),
    }
}

#[async_trait]
impl Authenticator for ServiceAccounts {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<Identity>, AuthError> {
        // A JSON web token has three parts; everything else is not for the API server.
        let Some(token) = credentials.token.filter(|token| token.split('.').count() == 3) else {
            return Ok(None);
        };
        if token.len() > TOKEN {
            return Err(AuthError::Refused("the token is too long".into()));
        }
        let key = crate::bundle::sha256(token.as_bytes());
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, identity)) = known.get(&key).filter(|(at, _)| at.elapsed() < BELIEVED) {
                return Ok(Some(identity.clone()));
            }
        }
        let identity = self.ask(token).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (at, _)| at.elapsed() < BELIEVED);
        }
        if known.len() < REMEMBERED {
            known.insert(key, (Instant::now(), identity.clone()));
        }
        Ok(Some(identity))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_agent_is_of_the_node_that_its_token_is_bound_to() {
        let user = |node: Option<&str>| UserInfo {
            extra: node.map(|node| BTreeMap::from([(NODE.to_owned(), vec![node.to_owned()])])),
            ..UserInfo::default()
        };
        assert_eq!(agent(&user(Some("n1"))).unwrap().role, Role::Agent(Some("n1".into())));
        assert!(agent(&user(Some("a/b"))).is_err());
        assert!(agent(&user(None)).is_err());
    }
}
