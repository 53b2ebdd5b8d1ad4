//! The programs, one file per domain.

mod call;
mod cgroup;
mod file_open;
mod io_uring;
mod net_connect;
mod process;
mod process_change;
mod process_exec;
mod syscall;

pub use io_uring::Pending;
