//! What a process uses and where it is accounted: memory, descriptors, threads, control groups.

use vedette_event::Usage;

use super::LiveFacts;
use crate::field::{FieldArg, FieldId};
use crate::value::Value;

/// Controllers of cgroup v2 (`Documentation/admin-guide/cgroup-v2.rst`), which share one hierarchy.
const CONTROLLERS: &[&str] = &["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"];

/// `thread.cgroup.NAME`, and all of them as `NAME=PATH NAME=PATH …`. The only hierarchy that is followed is the one
/// that tells containers, and it counts as that of every controller.
pub fn cgroup<'a>(facts: &LiveFacts<'a>, field: FieldId, arg: &FieldArg) -> Value<'a> {
    let view = &facts.view;
    let Some(group) = view.state.cgroups.get(view.cgroup()) else { return Value::Absent };
    match arg.key() {
        _ if field == FieldId::ThreadCgroups => {
            let all: Vec<String> = CONTROLLERS.iter().map(|name| format!("{name}={}", group.path)).collect();
            Value::owned(all.join(" "))
        }
        Some(name) if CONTROLLERS.contains(&name) => Value::str(&group.path),
        _ => Value::Absent,
    }
}

/// The value of a field that has to be asked for, or `None` where it is none of them.
pub fn get<'a>(facts: &LiveFacts<'_>, field: FieldId) -> Option<Value<'a>> {
    use FieldId as F;
    let figure: fn(&Usage) -> Option<u64> = match field {
        F::ProcFdopencount => |u| u.descriptors,
        F::ProcVmsize | F::ThreadVmsize => |u| u.virtual_memory,
        F::ProcVmrss | F::ThreadVmrss => |u| u.resident_memory,
        F::ProcVmswap => |u| u.swapped_memory,
        F::ProcNthreads => |u| u.threads,
        F::ProcNchilds => |u| u.threads.map(|n| n.saturating_sub(1)),
        F::ThreadPfmajor => |u| u.major_faults,
        F::ThreadPfminor => |u| u.minor_faults,
        F::ThreadTotexectime => |u| u.cpu_time,
        F::ProcFdlimit => return Some(usage(facts).and_then(|u| u.descriptor_limit).into()),
        F::ProcFdusage => return Some(usage(facts).and_then(share).map_or(Value::Absent, Value::Float)),
        _ => return None,
    };
    let is_main = facts.view.record.header.tid == facts.view.process.key.tgid;
    if matches!(field, F::ThreadVmsize | F::ThreadVmrss) && !is_main {
        // Threads have one memory, which is counted once.
        return Some(0u64.into());
    }
    Some(usage(facts).and_then(figure).into())
}

/// What the process uses, asked for once for an event.
fn usage<'a>(facts: &'a LiveFacts<'_>) -> Option<&'a Usage> {
    let view = &facts.view;
    facts.usage.get_or_init(|| view.names.usage(view.process, view.record.header.tid)).as_ref()
}

/// Open descriptors in percent of those allowed; 0 where there is no limit.
fn share(usage: &Usage) -> Option<f64> {
    let (open, limit) = (usage.descriptors?, usage.descriptor_limit?);
    Some(if limit > 0 { (open as f64 * 100.0 / limit as f64).min(100.0) } else { 0.0 })
}
