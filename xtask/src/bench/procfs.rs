//! What /proc says about a process and about the machine. Formats: proc(5) and
//! Documentation/scheduler/sched-stats.rst of the kernel.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

/// Memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident set now, in KiB.
    pub rss: u64,
    /// Highest resident set so far, in KiB.
    pub peak: u64,
}

/// Reads the memory of a process.
///
/// # Errors
/// When the process is gone.
pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    parse_memory(&text).ok_or_else(|| anyhow!("{path} states no VmRSS and VmHWM"))
}

/// Lets the highest resident set begin anew (`/proc/PID/clear_refs`, proc(5)).
///
/// # Errors
/// When the process is gone or not ours.
pub fn reset_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("write {path}"))
}

fn parse_memory(status: &str) -> Option<Memory> {
    let value = |key: &str| -> Option<u64> {
        let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
        rest.trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    Some(Memory { rss: value("VmRSS:")?, peak: value("VmHWM:")? })
}

/// The processor time a process has used, of all its threads that live.
///
/// From the scheduler's accounts in nanoseconds: the ticks in /proc/PID/stat are 10 ms each, too coarse
/// for 0.2 % of ten seconds. Where the kernel keeps no such accounts, from the ticks.
///
/// # Errors
/// When the process is gone.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&path).with_context(|| format!("read {path}"))?;
    let accounts = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    let times: Option<Vec<u64>> = accounts.map(|text| parse_schedstat(&text?)).collect();
    match times {
        Some(times) if times.iter().any(|time| *time > 0) => Ok(Duration::from_nanos(times.iter().sum())),
        _ => cpu_ticks(pid),
    }
}

/// The processor time a process has used, also of threads that have ended, in ticks of 10 ms.
///
/// # Errors
/// When the process is gone.
pub fn cpu_ticks(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let ticks = parse_stat(&text).ok_or_else(|| anyhow!("{path} states no utime and stime"))?;
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// The first of the three numbers: time spent on a processor, in nanoseconds.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// utime + stime, the fields 14 and 15. Counting begins after the name, which may hold anything.
fn parse_stat(text: &str) -> Option<u64> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The run time of the BPF programs that a process holds, if the kernel counts it
/// (`sysctl kernel.bpf_stats_enabled=1`).
pub fn bpf_time(pid: u32) -> Option<Duration> {
    let enabled = fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").ok()?;
    if enabled.trim() != "1" {
        return None;
    }
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).ok()?;
    let times = files.flatten().filter_map(|file| parse_run_time(&fs::read_to_string(file.path()).ok()?));
    Some(Duration::from_nanos(times.sum()))
}

fn parse_run_time(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("run_time_ns:"))?.trim().parse().ok()
}

/// How busy the machine has been: (busy, all) in ticks since boot, over all processors.
///
/// # Errors
/// When /proc cannot be read.
pub fn machine_ticks() -> Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    parse_machine(&text).ok_or_else(|| anyhow!("/proc/stat has no line of all processors"))
}

fn parse_machine(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // Guest time, from the ninth on, is already part of user time.
    let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_status() {
        let status = "Name:\tx\nVmHWM:\t   5120 kB\nVmRSS:\t    4096 kB\n";
        assert_eq!(parse_memory(status), Some(Memory { rss: 4096, peak: 5120 }));
        assert_eq!(parse_memory("Name:\tx\n"), None);
    }

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let stat = "1 (a) b (c) S 1 1 1 0 -1 4194560 1 2 3 4 70 30 5 6 20 0 1 0 1 2 3";
        assert_eq!(parse_stat(stat), Some(100));
        assert_eq!(parse_stat("1 (a) S 1"), None);
    }

    #[test]
    fn accounts_and_counters_are_read() {
        assert_eq!(parse_schedstat("123456 78 9\n"), Some(123_456));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_run_time("pos:\t0\nrun_time_ns:\t42\nrun_cnt:\t2\n"), Some(42));
        assert_eq!(parse_run_time("pos:\t0\n"), None);
        assert_eq!(parse_machine("cpu  10 0 5 80 5 0 0 0 3 0\ncpu0 1\n"), Some((15, 100)));
    }

    #[test]
    fn this_process_has_used_some_of_everything() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.rss > 0 && memory.peak >= memory.rss);
        assert!(cpu_time(pid).unwrap() > Duration::ZERO);
        let (busy, all) = machine_ticks().unwrap();
        assert!(busy > 0 && all > busy);
    }
}
