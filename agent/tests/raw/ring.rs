//! A ring for tests: submit requests, wait for their ends.

#![allow(
    unsafe_code,
    reason = "a request's pointers must live until its end, which only the test can promise"
)]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use io_uring::{IoUring, squeue};

use crate::harness::may_load_bpf;

/// How a ring is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Requests are started by the system call that submits them.
    Plain,
    /// The submitter also runs what is left to do (`IORING_SETUP_DEFER_TASKRUN`).
    Deferred,
    /// A kernel thread takes the requests from the queue.
    Polled,
}

/// All of them.
pub const MODES: [Mode; 3] = [Mode::Plain, Mode::Deferred, Mode::Polled];

/// Whether these tests may run, and the kernel lets anybody use io_uring; otherwise says why not.
pub fn may_run() -> bool {
    if !may_load_bpf("io_uring") {
        return false;
    }
    match IoUring::new(2) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("io_uring: left out, because this kernel refuses rings: {error}");
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "in CI they must run");
            false
        }
    }
}

/// A ring of `entries` requests.
pub fn ring(mode: Mode, entries: u32) -> IoUring {
    ring_with_results(mode, entries, entries * 2)
}

/// A ring of `entries` requests with room for so many results.
pub fn ring_with_results(mode: Mode, entries: u32, results: u32) -> IoUring {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(results);
    match mode {
        Mode::Plain => {}
        Mode::Deferred => {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        Mode::Polled => {
            builder.setup_sqpoll(1000);
        }
    }
    builder.build(entries).unwrap()
}

/// Submits requests and waits for as many results; they come in the order of `user_data`, which is set here.
pub fn run(ring: &mut IoUring, requests: Vec<squeue::Entry>) -> Vec<i32> {
    let number = requests.len();
    submit(ring, requests);
    ends(ring, number)
}

/// Submits requests, numbered from 0.
pub fn submit(ring: &mut IoUring, requests: Vec<squeue::Entry>) {
    push(ring, requests.into_iter().zip(0..).map(|(request, i)| request.user_data(i)).collect());
    ring.submit().unwrap();
}

/// Puts requests into the queue.
pub fn push(ring: &mut IoUring, requests: Vec<squeue::Entry>) {
    for request in requests {
        // SAFETY: the callers keep what their requests point to until the requests have ended.
        unsafe { ring.submission().push(&request).unwrap() };
    }
}

/// Waits for the results of so many requests, in the order of their numbers.
pub fn ends(ring: &mut IoUring, number: usize) -> Vec<i32> {
    let mut results = vec![None; number];
    while results.iter().any(Option::is_none) {
        ring.submit_and_wait(1).unwrap();
        for end in ring.completion() {
            results[end.user_data() as usize] = Some(end.result());
        }
    }
    results.into_iter().map(Option::unwrap).collect()
}

/// Closes the descriptors among results that are descriptors.
pub fn close(results: &[i32]) {
    for fd in results.iter().filter(|fd| **fd >= 0) {
        nix::unistd::close(*fd).unwrap();
    }
}

/// A path as the kernel takes it.
pub fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}
