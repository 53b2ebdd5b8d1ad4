//! The user-space event and process model.
//!
//! Records come in as bytes ([`decode`]), change what is known about the node ([`State`]), and are then looked
//! at together with it ([`View`]). Nothing here does I/O or knows the wall clock: the same records give the
//! same views, live and in a replay.

pub mod alert;
mod cgroup;
mod clock;
pub mod decode;
mod errno;
pub mod process;
#[cfg(feature = "recording")]
pub mod recording;
mod state;
mod targets;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod view;

pub use cgroup::{
    Cgroup, Cgroups, Container, ContainerRef, Knowledge, Metadata, Mount, Pod, PodRef, Probes, Workload,
    container_of_path, is_internal_label, short_id,
};
pub use clock::Clock;
pub use decode::{Body, DecodeError, Record, Strings, decode};
pub use errno::errno_name;
pub use process::{Exec, Origin, Process, ProcessId, ProcessKey, ProcessTable};
pub use state::{Applied, EventTimes, Excerpt, State, StateLimits, StateStats};
pub use targets::put_targets;
pub use vedette_abi as abi;
pub use view::{NoNames, Usage, UserNames, View};
