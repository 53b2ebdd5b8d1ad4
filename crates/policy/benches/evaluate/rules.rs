//! Rules by the hundred.

use std::fmt::Write;

use vedette_policy::{EventType, EventTypes, Source};

/// Conditions as people write them, on any type of event.
const CONDITIONS: &[&str] = &[
    "proc.name in (tool{n}, helper{n}) and not proc.pname = systemd",
    "proc.exepath startswith /opt/vendor{n}/ and user.uid != 0",
    "proc.cmdline contains \"--secret{n}\" and container.id = host",
    "proc.aname[2] = parent{n} or proc.pname in (a{n}, b{n}, c{n})",
    "proc.cwd startswith /srv/app{n} and proc.name endswith .{n}",
];

/// So many rules on types of events of which there is none.
pub fn on_other_types(present: &EventTypes, count: usize) -> Source {
    let others: Vec<EventType> = EventType::ALL
        .iter()
        .copied()
        .filter(|t| !present.contains(*t) && !t.name().is_empty())
        .filter(|t| {
            ["ptrace", "mount", "kill", "setuid", "rename", "unlink", "bind", "listen"].contains(&t.name())
        })
        .collect();
    let types = (0..).map(move |n: usize| others[n % others.len()].name().to_owned());
    Source::new("other-types.yaml", text(types, count))
}

/// So many rules on opens, execs and connects, in turn.
pub fn on_same_types(count: usize) -> Source {
    let types = ["openat", "execve", "connect"].into_iter().cycle().map(str::to_owned);
    Source::new("same-types.yaml", text(types, count))
}

fn text(types: impl Iterator<Item = String>, count: usize) -> String {
    let mut text = String::new();
    for (n, event_type) in types.take(count).enumerate() {
        let condition = CONDITIONS[n % CONDITIONS.len()].replace("{n}", &n.to_string());
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "- rule: Generated {n}\n  desc: For the benchmark.\n  \
             condition: evt.type = {event_type} and ({condition})\n  output: \"%proc.name\"\n  priority: Notice\n"
        );
    }
    text
}
