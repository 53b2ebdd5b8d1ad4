//! What a segment says about itself and its node.

use serde::{Deserialize, Serialize};

use crate::{Clock, StateLimits, abi::ABI_VERSION, alert::Node};

/// The header of a segment, kept as JSON. Keys that a reader does not know are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Version of the record layout.
    pub abi: u8,
    /// Version of the agent.
    #[serde(default)]
    pub agent: String,
    /// Name of the node.
    pub node: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Whether `node` is the name of a Kubernetes node.
    #[serde(default)]
    pub kubernetes: bool,
    /// Nanoseconds of the Unix epoch at boot: from the clock of the records to the wall clock.
    pub boot_epoch_ns: u64,
    /// When the recording began, nanoseconds since the Unix epoch.
    pub started_ns: u64,
    /// Bounds of the agent's tables.
    pub max_processes: usize,
    /// Likewise.
    pub max_cgroups: usize,
    /// The hierarchy whose control groups name containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hierarchy: Option<u32>,
}

impl Header {
    /// The header for a node.
    pub fn new(node: &Node, clock: Clock, limits: StateLimits) -> Self {
        Self {
            abi: ABI_VERSION,
            agent: String::new(),
            node: node.name.clone(),
            boot_id: node.boot_id.clone(),
            kubernetes: node.kubernetes,
            boot_epoch_ns: clock.boot_epoch_ns,
            started_ns: 0,
            max_processes: limits.processes,
            max_cgroups: limits.cgroups,
            hierarchy: limits.hierarchy,
        }
    }

    /// The node.
    pub fn node(&self) -> Node {
        Node { name: self.node.clone(), boot_id: self.boot_id.clone(), kubernetes: self.kubernetes }
    }

    /// The clock.
    pub fn clock(&self) -> Clock {
        Clock { boot_epoch_ns: self.boot_epoch_ns }
    }

    /// Bounds of the tables, no higher than a host can have: the file is not to be trusted.
    pub fn limits(&self) -> StateLimits {
        /// `PID_MAX_LIMIT` of 64-bit kernels.
        const MOST: usize = 4 << 20;
        StateLimits {
            processes: self.max_processes.min(MOST),
            cgroups: self.max_cgroups.min(MOST),
            hierarchy: self.hierarchy,
        }
    }
}
