//! The kernel side as user space sees it: programs, maps, rings, and their books.

mod batch;
#[cfg(feature = "bpf-log")]
mod bpf_log;
mod counters;
mod drain;
mod filter;
mod loader;
mod plan;
mod programs;
mod self_check;

pub use batch::{Batch, Entry};
pub use counters::{Counters, KindCount};
pub use drain::{Drain, DrainStats, Drained};
pub use filter::FilterTables;
pub use loader::{Sensor, SensorError, SensorOptions};
pub use plan::Plan;
pub use programs::{Program, ProgramState, ProgramStatus};
pub use self_check::self_check;

/// The BPF object that this build carries.
pub static BPF_OBJECT: &[u8] = aya::include_bytes_aligned!(env!("VEDETTE_BPF_OBJECT_PATH"));
