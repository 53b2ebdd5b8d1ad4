//! `tty_struct` and `tty_driver`.

use super::{kfields, kstruct};

kstruct!(
    /// `tty_struct`
    Tty
);
kfields!(direct Tty {
    driver -> TtyDriver = TTY_DRIVER;
    index: u32 = TTY_INDEX;
});

kstruct!(
    /// `tty_driver`
    TtyDriver
);
kfields!(guarded TtyDriver {
    major: u32 = TTY_DRIVER_MAJOR;
    minor_start: u32 = TTY_DRIVER_MINOR_START;
});

impl Tty {
    /// Device number as `major << 20 | minor`, 0 for none.
    #[inline(always)]
    pub fn device(self) -> u32 {
        if self.is_null() {
            return 0;
        }
        let driver = self.driver();
        driver.major() << 20 | (driver.minor_start() + self.index()) & 0xf_ffff
    }
}
