//! The programs, one file per domain.

mod cgroup;
mod file_open;
mod net_connect;
mod process;
mod process_exec;
mod syscall;
