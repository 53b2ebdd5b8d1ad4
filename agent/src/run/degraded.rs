//! What this host or this build cannot do of what was asked, as sentences.

use vedette_policy::{FieldId, PolicySet, Rule, rule};

use crate::{identity::IdentitySettings, sensor::Sensor};

/// Who is asked about containers and pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentitySources {
    /// Container runtimes.
    pub runtimes: bool,
    /// The API server.
    pub server: bool,
}

impl IdentitySources {
    /// As the settings say.
    pub fn of(settings: Option<&IdentitySettings>) -> Self {
        Self { runtimes: settings.is_some(), server: settings.is_some_and(|s| s.pods.is_some()) }
    }

    /// Whom a rule needs and who is not asked, if so.
    pub fn missing_for(self, rule: &Rule) -> Option<String> {
        let reads =
            |wanted: fn(FieldId) -> bool| rule.condition_fields().iter().any(|field| wanted(field.id));
        if !self.runtimes && reads(needs_a_runtime) {
            Some("the rule is about containers' metadata, and no runtime is asked for it".to_owned())
        } else if !self.server && reads(needs_the_server) {
            Some("the rule is about owners, service accounts or namespaces of pods, and no API server is asked".to_owned())
        } else {
            None
        }
    }

    /// One sentence for each of them whom rules need and who is not asked.
    fn sentences(self, set: &PolicySet) -> Vec<String> {
        let reads = |wanted: fn(FieldId) -> bool| {
            let reads = |rule: &&Rule| rule.condition_fields().iter().any(|field| wanted(field.id));
            set.rules().iter().filter(|rule| rule.is_active()).filter(reads).count()
        };
        let mut out = Vec::new();
        let (of_runtimes, of_server) = (reads(needs_a_runtime), reads(needs_the_server));
        if !self.runtimes && of_runtimes > 0 {
            out.push(format!(
                "{of_runtimes} rules are about containers' metadata, and no runtime is asked for it"
            ));
        }
        if !self.server && of_server > 0 {
            out.push(format!(
                "{of_server} rules are about owners, service accounts or namespaces of pods, and no API server is asked"
            ));
        }
        out
    }
}

/// Whether only a runtime knows the value.
fn needs_a_runtime(field: FieldId) -> bool {
    let by_group = [FieldId::ContainerId, FieldId::ContainerFullId, FieldId::ContainerType];
    field.name().starts_with("container.") && !by_group.contains(&field)
}

/// Whether only the API server knows the value.
fn needs_the_server(field: FieldId) -> bool {
    matches!(
        field,
        FieldId::K8sNsLabel | FieldId::K8sDeploymentName | FieldId::K8sRsName | FieldId::K8sSaName
    )
}

/// One sentence for each capability that is missing.
pub fn sentences(sensor: &Sensor, set: &PolicySet, asked: IdentitySources) -> Vec<String> {
    let mut out: Vec<String> = sensor.programs().iter().filter_map(|p| p.degradation()).collect();
    out.extend(sensor.missing_fields().iter().cloned());
    if !sensor.plan().unseen.is_empty() {
        let unseen: Vec<&str> = sensor.plan().unseen.iter().map(String::as_str).collect();
        out.push(format!("no program reports {}: rules about them cannot match", unseen.join(", ")));
    }
    let acting = set.rules().iter().filter(|r| r.is_active() && r.action != rule::Action::Alert).count();
    if acting > 0 {
        out.push(format!("{acting} rules ask for Kill or Deny: this build only alerts"));
    }
    let by_node = set.rules().iter().filter(|r| r.is_active() && r.scope.node_selector.is_some()).count();
    if by_node > 0 {
        out.push(format!("{by_node} rules select nodes by label, which is not known here: they apply"));
    }
    out.extend(asked.sentences(set));
    out
}

#[cfg(test)]
mod tests {
    use vedette_policy::Source;

    use super::*;

    #[test]
    fn whom_rules_need_and_nobody_asks() {
        let rules = "
- {rule: a, desc: d, condition: 'evt.type = execve and container.image.repository = x', output: o, priority: INFO}
- {rule: b, desc: d, condition: 'evt.type = execve and k8s.sa.name = x', output: o, priority: INFO}
- {rule: c, desc: d, condition: 'evt.type = execve and container.id != host', output: '%container.name', priority: INFO}
";
        let set = PolicySet::load([Source::new("p", rules)]).set.unwrap();
        assert_eq!(IdentitySources { runtimes: true, server: true }.sentences(&set), [""; 0]);
        assert_eq!(IdentitySources { runtimes: true, server: false }.sentences(&set).len(), 1);
        let all = IdentitySources::default().sentences(&set);
        assert!(all.len() == 2 && all.iter().all(|sentence| sentence.starts_with("1 rules")), "{all:?}");
    }
}
