//! The tables that answer, in the kernel, whether anybody wants an event.

use crate::{KINDS, record_struct};

record_struct! {
    /// One generation of the filter. Two of them exist; a single word says which is live.
    pub struct Filter: 264 {
        /// By kind: the scopes in which some loaded rule wants it. 0 = nobody anywhere.
        pub wanted: [u64; KINDS],
        /// [`filter_flags`].
        pub flags: u64,
    }

    /// Key of the table that gives, for a control group, the scopes it is in (a bit set as in [`Filter::wanted`]).
    /// A control group that is not in the table is in every scope: unknown keeps, never drops.
    pub struct ScopeKey: 16 {
        /// Generation (0 or 1) that the entry belongs to.
        pub generation: u64,
        /// Control group.
        pub cgroup: u64,
    }
}

/// Bits of [`Filter::flags`].
pub mod filter_flags {
    /// Some rule asks for opens that failed.
    pub const FAILED_OPENS: u64 = 1;
    /// Some rule or output asks for the environment.
    pub const ENVIRONMENT: u64 = 2;
    /// Some rule or output asks for the standard descriptors of new programs.
    pub const STDIO: u64 = 4;
}

/// Every scope at once.
pub const EVERY_SCOPE: u64 = u64::MAX;
/// Control groups that are not containers.
pub const SCOPE_HOST: u64 = 1;
/// Control groups of containers.
pub const SCOPE_CONTAINER: u64 = 2;
/// Control groups of containers in Kubernetes pods.
pub const SCOPE_POD: u64 = 4;
