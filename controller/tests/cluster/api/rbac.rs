//! Who may do what, by the manifests.

use serde_json::Value as Json;

use super::Call;

/// The rules of a service account, each with the namespace that it is for.
#[derive(Clone, Debug, Default)]
pub struct Access {
    rules: Vec<(Option<String>, Json)>,
}

impl Access {
    /// What the roles and bindings among the manifests give the account.
    pub fn of(manifests: &[Json], namespace: &str, account: &str) -> Self {
        let mut access = Self::default();
        for binding in
            manifests.iter().filter(|m| m["kind"].as_str().is_some_and(|k| k.ends_with("RoleBinding")))
        {
            let is_ours = |subject: &Json| subject["name"] == account && subject["namespace"] == namespace;
            if !binding["subjects"].as_array().unwrap().iter().any(is_ours) {
                continue;
            }
            let role = manifests.iter().find(|m| {
                m["kind"] == binding["roleRef"]["kind"] && m["metadata"]["name"] == binding["roleRef"]["name"]
            });
            let role = role.unwrap_or_else(|| panic!("no role {}", binding["roleRef"]));
            let within = (binding["kind"] == "RoleBinding").then(|| namespace.to_owned());
            access
                .rules
                .extend(role["rules"].as_array().unwrap().iter().map(|rule| (within.clone(), rule.clone())));
        }
        access
    }

    /// Whether the call is allowed.
    pub fn allows(&self, call: &Call) -> bool {
        self.rules.iter().any(|(namespace, rule)| grants(namespace.as_deref(), rule, call))
    }

    /// The rules that none of the calls needs.
    pub fn unused(&self, calls: &[Call]) -> Vec<Json> {
        let mut unused = Vec::new();
        for (namespace, rule) in &self.rules {
            for verb in rule["verbs"].as_array().unwrap() {
                let needed =
                    calls.iter().any(|call| *verb == call.verb && grants(namespace.as_deref(), rule, call));
                if !needed {
                    unused.push(serde_json::json!({"verb": verb, "rule": rule}));
                }
            }
        }
        unused
    }
}

fn grants(namespace: Option<&str>, rule: &Json, call: &Call) -> bool {
    let has =
        |key: &str, word: &str| rule[key].as_array().is_some_and(|all| all.iter().any(|one| one == word));
    let named = match (rule["resourceNames"].as_array(), &call.name) {
        (None, _) => true,
        (Some(names), Some(name)) => names.iter().any(|one| one == name),
        (Some(_), None) => false,
    };
    has("apiGroups", &call.group)
        && has("resources", &call.resource)
        && has("verbs", &call.verb)
        && named
        && namespace.is_none_or(|namespace| call.namespace.as_deref() == Some(namespace))
}
