//! What a test has done, and what an alert about it has to say.

use serde_json::{Value, json};

use crate::{container::Container, harness::Line};

/// Who did something.
#[derive(Clone, Debug)]
pub enum By {
    /// A process or its descendants, by pid.
    Process(u32),
    /// Processes in a container, by its id.
    Container(String),
}

impl By {
    /// Whether an alert is about them.
    pub fn is_in(&self, line: &Line) -> bool {
        match self {
            Self::Process(pid) => line.is_of(*pid),
            Self::Container(id) => line.at("container.id").as_str() == Some(id),
        }
    }
}

/// What a field has to be.
#[derive(Clone, Debug)]
enum Wanted {
    Is(Value),
    Contains(String),
    Words(Vec<String>),
    Between(u64, u64),
}

impl Wanted {
    fn fits(&self, found: &Value) -> bool {
        match self {
            Self::Is(value) => value == found,
            Self::Contains(part) => found.as_str().is_some_and(|text| text.contains(part)),
            Self::Words(words) => found.as_str().is_some_and(|text| {
                let mut found: Vec<&str> = text.split_whitespace().collect();
                found.sort_unstable();
                found == *words
            }),
            Self::Between(low, high) => found.as_u64().is_some_and(|n| (*low..=*high).contains(&n)),
        }
    }
}

/// Something that was done, by whom, and what is known about it from elsewhere than the agent.
pub struct Deed {
    pub by: By,
    wanted: Vec<(String, Wanted)>,
    /// The names of ancestors, from the grandparent; not every rule tells of them.
    ancestors: Vec<String>,
    /// What must not end before the alert has come.
    held: Vec<Container>,
}

/// The process that did it.
pub struct Doer<'a> {
    pub name: &'a str,
    /// The executable as the process sees it.
    pub exe_path: &'a str,
    pub parent: &'a str,
    /// Name and arguments.
    pub command: &'a str,
}

impl Deed {
    /// Something done by root, in the login session of this test.
    pub fn new(by: By, event: &str, doer: &Doer<'_>) -> Self {
        let loginuid = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
        let loginuid = loginuid.trim().parse::<u32>().unwrap_or(u32::MAX).cast_signed();
        Self { by, wanted: Vec::new(), ancestors: Vec::new(), held: Vec::new() }
            .with("evt.type", event)
            .with("user.uid", 0)
            .with("user.loginuid", loginuid)
            .with("proc.name", doer.name)
            .with("proc.exepath", doer.exe_path)
            .with("proc.pname", doer.parent)
            .with("proc.cmdline", doer.command)
    }

    /// The value of a field of the rule's output.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.want(field, Wanted::Is(value.into()));
        self
    }

    /// A part of the text of a field.
    pub fn with_part(mut self, field: &str, part: impl Into<String>) -> Self {
        self.want(field, Wanted::Contains(part.into()));
        self
    }

    /// The words of a field, in whatever order.
    pub fn with_words(mut self, field: &str, mut words: Vec<String>) -> Self {
        words.sort_unstable();
        self.want(field, Wanted::Words(words));
        self
    }

    /// The bounds of a field.
    pub fn with_between(mut self, field: &str, low: u64, high: u64) -> Self {
        self.want(field, Wanted::Between(low, high));
        self
    }

    /// By this user and not by root.
    pub fn by_user(self, name: &str, uid: u32) -> Self {
        self.with("user.name", name).with("user.uid", uid)
    }

    /// Names of ancestors, from the grandparent.
    pub fn with_ancestors(mut self, names: &[String]) -> Self {
        self.ancestors = names.to_vec();
        self
    }

    /// Both ends of a connection, and what is told about it: `LOCAL REMOTE`, as the helper writes it.
    pub fn with_connection(self, ends: &str) -> Self {
        let (local, remote) = ends.trim().split_once(' ').unwrap_or_else(|| panic!("the ends: {ends:?}"));
        let port = |end: &str| end.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
        // Rules have IPv6 addresses without brackets.
        let name = format!("{local}->{remote}").replace(['[', ']'], "");
        self.with("fd.name", name)
            .with("fd.lport", port(local))
            .with("fd.rport", port(remote))
            .with("fd.type", if local.starts_with('[') { "ipv6" } else { "ipv4" })
            .with("fd.l4proto", "tcp")
    }

    /// A container that stays until the alert is there.
    pub fn holding(mut self, container: Container) -> Self {
        self.held.push(container);
        self
    }

    fn want(&mut self, field: &str, wanted: Wanted) {
        self.wanted.retain(|(known, _)| known != field);
        self.wanted.push((field.to_owned(), wanted));
    }

    /// What is not as it should be in an alert, a line for each field.
    pub fn differences(&self, alert: &Line) -> Vec<String> {
        let none = json!({});
        let fields = alert.json.as_ref().map_or(&none, |alert| &alert["output_fields"]);
        let levels = (2..).map(|level| format!("proc.aname[{level}]"));
        let ancestors = levels.zip(&self.ancestors).filter(|(field, _)| fields.get(field).is_some());
        let ancestors = ancestors.map(|(field, name)| (field, Wanted::Is(name.as_str().into())));
        let wanted = self.wanted.iter().cloned().chain(ancestors);
        let wrong = wanted.filter(|(field, wanted)| !wanted.fits(&fields[field]));
        wrong.map(|(field, wanted)| format!("{field} is {}, not {wanted:?}", fields[&field])).collect()
    }
}

/// Who did something that is no attack.
pub enum Twin {
    /// A process or its descendants, by pid.
    Process(u32),
    /// Processes in this container, which stays until all is judged.
    Container(Container),
}

impl Twin {
    /// Who it was.
    pub fn by(&self) -> By {
        match self {
            Self::Process(pid) => By::Process(*pid),
            Self::Container(container) => By::Container(container.id().to_owned()),
        }
    }
}
