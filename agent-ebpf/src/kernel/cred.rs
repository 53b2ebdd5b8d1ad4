//! `cred`: who a task acts as.

use super::{kfields, kstruct, namespace::UserNs};

kstruct!(
    /// `cred`
    Cred
);
kfields!(direct Cred {
    uid: u32 = CRED_UID;
    gid: u32 = CRED_GID;
    suid: u32 = CRED_SUID;
    sgid: u32 = CRED_SGID;
    euid: u32 = CRED_EUID;
    egid: u32 = CRED_EGID;
    fsuid: u32 = CRED_FSUID;
    fsgid: u32 = CRED_FSGID;
    cap_inheritable: u64 = CRED_CAP_INHERITABLE;
    cap_permitted: u64 = CRED_CAP_PERMITTED;
    cap_effective: u64 = CRED_CAP_EFFECTIVE;
    cap_bset: u64 = CRED_CAP_BSET;
    cap_ambient: u64 = CRED_CAP_AMBIENT;
    user_ns -> UserNs = CRED_USER_NS;
});
