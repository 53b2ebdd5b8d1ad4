//! `linux_binprm`: the exec in progress.

use super::{Ptr, kfields, kstruct};

kstruct!(
    /// `linux_binprm`
    Binprm
);
kfields!(direct Binprm {
    filename: Ptr = BINPRM_FILENAME;
    argc: u32 = BINPRM_ARGC;
    envc: u32 = BINPRM_ENVC;
});

impl Binprm {
    /// The file name as passed to exec (for `execveat` with a descriptor: `/dev/fd/N…`).
    #[inline(always)]
    pub fn filename_ptr(self) -> *const u8 {
        self.filename().0
    }
}
