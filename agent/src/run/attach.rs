//! Putting a node under watch: programs attached, what they report held, what was there before taken note of.
//!
//! Everything is attached before the snapshot is taken, so that nothing falls between the two.

use std::sync::{Arc, Mutex};

use vedette_event::{Clock, State, StateLimits, alert::Node, decode};

use super::{RunError, SharedSensor};
use crate::{
    clock,
    identity::{Hierarchy, scopes_of_path},
    names::Names,
    proc::{Proc, ProcError},
    pump::Pump,
    sensor::{Drain, Plan, Sensor, SensorError, SensorOptions, self_check},
};

/// How to watch.
pub(crate) struct AttachOptions {
    /// Bytes of the state ring.
    pub state_ring: u32,
    /// Bytes of the event ring.
    pub events_ring: u32,
    /// Most processes in the table.
    pub max_processes: usize,
    /// Most control groups in the table and in the kernel's filter.
    pub max_cgroups: usize,
    /// Name of the node.
    pub node: String,
    /// Whether that is the name of a Kubernetes node.
    pub kubernetes: bool,
}

/// A node under watch. The pump holds what the kernel reports until somebody takes it.
pub(crate) struct Attached {
    pub sensor: SharedSensor,
    pub pump: Pump,
    /// As of the start.
    pub state: State,
    pub limits: StateLimits,
    pub proc: Proc,
    pub names: Option<Names>,
    pub clock: Clock,
    pub node: Node,
}

/// Loads and attaches what the plan asks for, and takes the snapshot.
///
/// # Errors
/// This host is not as needed, or a thread could not be had.
pub(crate) fn attach(options: &AttachOptions, plan: &Plan) -> Result<Attached, RunError> {
    let hierarchy = match Hierarchy::of_host() {
        Ok(hierarchy) => Some(hierarchy),
        Err(error) => {
            tracing::warn!(%error, "containers cannot be told apart");
            None
        }
    };
    let mut sensor = Sensor::load(&SensorOptions {
        state_ring: options.state_ring,
        events_ring: options.events_ring,
        cgroups: u32::try_from(options.max_cgroups).unwrap_or(u32::MAX),
        cgroup_controller: hierarchy.as_ref().and_then(|h| h.controller).map(|c| c.enumerator),
        skip_tgid: std::process::id(),
        ..SensorOptions::default()
    })
    .map_err(RunError::input)?;
    let (state_ring, events_ring) = sensor.take_rings().map_err(RunError::internal)?;
    // From here on the kernel records; the pump holds it until the engine is there.
    let pump = Pump::start(Drain::new(state_ring, events_ring)).map_err(RunError::internal)?;
    sensor.apply(plan).map_err(RunError::internal)?;

    let mut proc = Proc::default().with_environment(plan.wants_environment());
    if let Some(hierarchy) = &hierarchy {
        proc = proc.with_hierarchy(hierarchy.clone());
    }
    let limits = StateLimits {
        processes: options.max_processes,
        cgroups: options.max_cgroups,
        hierarchy: hierarchy.as_ref().map(|h| h.number),
    };
    let mut state = State::new(limits);
    snapshot(&mut state, &mut sensor, &proc)?;
    for group in hierarchy.iter().flat_map(Hierarchy::walk) {
        state.cgroups.insert(group.id, &group.path);
        sensor.filter().set_scopes(group.id, scopes_of_path(&group.path));
    }
    let node = Node {
        name: options.node.clone(),
        boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        kubernetes: options.kubernetes,
    };
    let names =
        Names::of_host().inspect_err(|error| tracing::warn!(%error, "user names are not looked up")).ok();
    let sensor = Arc::new(Mutex::new(sensor));
    Ok(Attached { sensor, pump, state, limits, proc, names, clock: clock::wall_clock(), node })
}

/// Takes note of the processes that are there already.
fn snapshot(state: &mut State, sensor: &mut Sensor, proc: &Proc) -> Result<(), RunError> {
    match sensor.snapshot() {
        Ok(bytes) => {
            let mut keys = Vec::new();
            let mut rest = bytes.as_slice();
            while let Some((record, tail)) = split_record(rest) {
                rest = tail;
                match decode(record) {
                    Ok(record) => {
                        keys.extend(
                            state
                                .apply(&record)
                                .process
                                .and_then(|id| state.processes.get(id))
                                .map(|p| p.key),
                        );
                    }
                    Err(error) => tracing::warn!(%error, "a record of the snapshot could not be decoded"),
                }
            }
            self_check(&state.processes).map_err(|why| RunError::input(SensorError::Offsets(why)))?;
            state.link_parents();
            for key in keys {
                match proc.complete(key) {
                    Ok(process) => {
                        state.complete(process);
                    }
                    // Reaped between the iterator and here; its exit may have been reported before the iterator ran.
                    Err(ProcError::Gone(_) | ProcError::Reused(_)) => {
                        state.processes.exit(key, clock::boottime());
                    }
                    Err(error) => {
                        tracing::debug!(tgid = key.tgid, %error, "a process could not be looked up")
                    }
                }
            }
            if let Err(error) = proc.fill_in(state) {
                tracing::warn!(%error, "processes that the task iterator left out are not known");
            }
        }
        Err(why) => {
            tracing::warn!(why, "the task iterator is not available; processes are read from /proc");
            match proc.snapshot() {
                Ok(processes) => {
                    for process in processes.flatten() {
                        state.complete(process);
                    }
                }
                Err(error) => tracing::warn!(%error, "processes that run already are not known"),
            }
            state.link_parents();
        }
    }
    Ok(())
}

/// Splits the first record off, by the length that it begins with.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    (len > 0).then(|| bytes.split_at_checked(len))?
}
