//! What the BPF programs log, in development builds.

use std::os::fd::AsFd;

use aya::Ebpf;
use aya_log::EbpfLogger;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Passes the programs' log on to ours, on a thread that lives as long as the agent.
pub fn start(ebpf: &mut Ebpf) {
    let mut logger = match EbpfLogger::init(ebpf) {
        Ok(logger) => logger,
        Err(error) => {
            tracing::warn!(%error, "this BPF object does not log");
            return;
        }
    };
    let thread = std::thread::Builder::new().name("vedette-bpf-log".into()).spawn(move || {
        loop {
            match poll(&mut [PollFd::new(logger.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => logger.flush(),
                Err(error) => {
                    tracing::warn!(%error, "the log of the BPF programs has ended");
                    return;
                }
            }
        }
    });
    if let Err(error) = thread {
        tracing::warn!(%error, "the log of the BPF programs is not shown");
    }
}
