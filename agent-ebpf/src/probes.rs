//! The programs, one file per domain.

mod call;
mod cgroup;
mod file_open;
mod io_uring;
mod message;
mod net_connect;
mod net_receive;
mod net_send;
mod net_socket;
mod process;
mod process_change;
mod process_exec;
mod sockaddr;
mod syscall;

pub use io_uring::Pending;
