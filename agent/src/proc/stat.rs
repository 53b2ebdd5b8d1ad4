//! `/proc/PID/stat`, `/proc/PID/status` and the small files beside them (`proc(5)`). Pure functions of their text.

use vedette_abi::{TaskFacts, task_flags};

/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u64 = 0x0020_0000;
/// `PF_EXITING`, likewise: set before the address space goes, so before the program stops being readable.
const PF_EXITING: u64 = 0x4;

/// What `/proc/PID/stat` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name of the task. Of a kernel worker more than the 15 bytes that the kernel keeps for a name.
    pub comm: Vec<u8>,
    /// State letter.
    pub state: u8,
    /// Parent process.
    pub ppid: u32,
    /// Process group.
    pub pgid: u32,
    /// Session.
    pub sid: u32,
    /// Controlling terminal as `major << 20 | minor`, 0 for none.
    pub tty: u32,
    /// `PF_*` flags.
    pub flags: u64,
    /// Page faults for which nothing had to be read from disk.
    pub minor_faults: u64,
    /// Page faults for which something had.
    pub major_faults: u64,
    /// Threads.
    pub threads: u32,
    /// Start of the thread group leader, clock ticks since boot.
    pub start_ticks: u64,
    /// Addresses of the arguments and of the environment, 0 where they may not be seen.
    pub args: (u64, u64),
    /// The same for the environment.
    pub env: (u64, u64),
}

impl Stat {
    /// Parses the file. The name stands in parentheses and may hold anything, parentheses and newlines included: the
    /// last `)` ends it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|b| *b == b'(')?;
        let close = text.iter().rposition(|b| *b == b')').filter(|close| *close > open)?;
        let rest = str::from_utf8(&text[close + 1..]).ok()?;
        // The first of them is field 3 of proc(5).
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |n: usize| field(n)?.parse::<u64>().ok();
        // Processes of other pid namespaces and unset values show as 0 or -1.
        let id = |n: usize| Some(u32::try_from(field(n)?.parse::<i64>().ok()?).unwrap_or(0));
        Some(Self {
            comm: text[open + 1..close].to_vec(),
            state: *field(3)?.as_bytes().first()?,
            ppid: id(4)?,
            pgid: id(5)?,
            sid: id(6)?,
            tty: device(field(7)?.parse::<i64>().ok()? as u32),
            flags: number(9)?,
            minor_faults: number(10)?,
            major_faults: number(12)?,
            threads: id(20)?,
            start_ticks: number(22)?,
            args: (number(48).unwrap_or(0), number(49).unwrap_or(0)),
            env: (number(50).unwrap_or(0), number(51).unwrap_or(0)),
        })
    }

    /// Whether it is a kernel thread.
    pub fn is_kthread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Whether the process has ended, or is past the point of no return. A leader that ended before its other threads
    /// is a zombie too, but its process goes on.
    pub fn is_ended(&self) -> bool {
        let ended = matches!(self.state, b'Z' | b'X' | b'x') || self.flags & PF_EXITING != 0;
        ended && self.threads <= 1
    }

    /// Whether `other`, read later, shows the same program and the same parent.
    pub fn same_program(&self, other: &Self) -> bool {
        (self.start_ticks, self.ppid, self.args.0, self.env.0)
            == (other.start_ticks, other.ppid, other.args.0, other.env.0)
    }

    /// Puts what it says into the facts.
    pub fn fill(&self, task: &mut TaskFacts) {
        task.comm = padded(&self.comm);
        task.parent_tgid = self.ppid;
        task.pgid = self.pgid;
        task.sid = self.sid;
        task.tty = self.tty;
        task.threads = self.threads;
        if self.is_kthread() {
            task.flags |= task_flags::KTHREAD;
        }
    }
}

/// A task's name as the kernel holds it: at most 15 bytes, padded with zeros.
pub fn padded(comm: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    let len = comm.len().min(15);
    out[..len].copy_from_slice(&comm[..len]);
    out
}

/// From the encoding of `new_encode_dev` (`include/linux/kdev_t.h`) to the kernel's own, `major << 20 | minor`.
fn device(encoded: u32) -> u32 {
    let major = (encoded & 0xf_ff00) >> 8;
    let minor = (encoded & 0xff) | (encoded >> 12 & 0xf_ff00);
    major << 20 | minor
}

/// Puts what `/proc/PID/status` says into the facts: ids, capabilities, numbers in its own pid namespace. A line that
/// is not there, as on older kernels, leaves its facts as they are.
pub fn fill_from_status(text: &[u8], task: &mut TaskFacts) {
    for line in text.split(|b| *b == b'\n') {
        // The one line that may not be text is the name, which is read elsewhere.
        let Some((key, value)) = str::from_utf8(line).ok().and_then(|l| l.split_once(':')) else { continue };
        let mut numbers = value.split_ascii_whitespace().filter_map(|n| n.parse::<u32>().ok());
        let mut four = || -> Option<[u32; 4]> {
            Some([numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?])
        };
        let capabilities = || u64::from_str_radix(value.trim(), 16).ok();
        match key {
            "Uid" => {
                if let Some(ids) = four() {
                    [task.uid, task.euid, task.suid, task.fsuid] = ids;
                }
            }
            "Gid" => {
                if let Some(ids) = four() {
                    [task.gid, task.egid, task.sgid, task.fsgid] = ids;
                }
            }
            "NSpid" => {
                let pids: Vec<u32> = numbers.collect();
                task.vpid = pids.last().copied().unwrap_or(0);
                task.pid_level = pids.len().saturating_sub(1) as u32;
                if task.vpid == 1 {
                    task.flags |= task_flags::NS_INIT;
                }
            }
            "NSpgid" => task.vpgid = numbers.next_back().unwrap_or(0),
            "NSsid" => task.vsid = numbers.next_back().unwrap_or(0),
            "CapInh" => task.cap_inheritable = capabilities().unwrap_or(0),
            "CapPrm" => task.cap_permitted = capabilities().unwrap_or(0),
            "CapEff" => task.cap_effective = capabilities().unwrap_or(0),
            "CapBnd" => task.cap_bounding = capabilities().unwrap_or(0),
            "CapAmb" => task.cap_ambient = capabilities().unwrap_or(0),
            _ => {}
        }
    }
}

/// The inode number in a link of `/proc/PID/ns`, e.g. `mnt:[4026531841]`.
pub fn namespace(link: &[u8]) -> Option<u32> {
    str::from_utf8(link).ok()?.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vedette_event::{Process, ProcessKey};

    /// A real line, taken from a shell on a terminal.
    const BASH: &str = "1021 (bash) S 1009 1021 1021 34816 1733 4194304 2417 21105 3 12 5 3 31 14 20 0 1 0 4521 \
        9711616 1344 18446744073709551615 94226372341760 94226373266029 140727064281744 0 0 0 65536 3686404 \
        1266761467 1 0 0 17 1 0 0 0 0 0 94226373504912 94226373552984 94226398269440 140727064287853 \
        140727064287859 140727064287859 140727064289262 0";

    fn task() -> TaskFacts {
        Process::unknown(ProcessKey { tgid: 1, start: 1 }).task
    }

    #[test]
    fn a_shell_on_a_terminal() {
        let stat = Stat::parse(BASH.as_bytes()).unwrap();
        assert_eq!((stat.ppid, stat.pgid, stat.sid, stat.threads), (1009, 1021, 1021, 1));
        assert_eq!(stat.tty, 136 << 20, "34816 is pts/0, device 136:0");
        assert_eq!(stat.start_ticks, 4521);
        assert_eq!(stat.args.1 - stat.args.0, "-bash\0".len() as u64);
        assert_eq!(stat.env.1 - stat.env.0, 1403);
        assert!(!stat.is_kthread() && !stat.is_ended());
    }

    #[test]
    fn names_may_hold_anything() {
        for name in ["a) R 1 (b", "two\nlines", ")", "", "(", "\u{fffd} x", "((sd-pam))"] {
            let text = BASH.replace("bash", name);
            let stat = Stat::parse(text.as_bytes()).unwrap();
            assert_eq!(stat.comm, name.as_bytes());
            assert_eq!((stat.state, stat.ppid), (b'S', 1009), "{name:?}");
        }
        let mut raw = BASH.as_bytes().to_vec();
        raw[6] = 0xff;
        assert_eq!(Stat::parse(&raw).unwrap().comm, b"\xffash");
    }

    #[test]
    fn kernel_threads_and_zombies() {
        let kthread = BASH.replace("4194304", &(0x0020_8040).to_string());
        let mut facts = task();
        Stat::parse(kthread.as_bytes()).unwrap().fill(&mut facts);
        assert_eq!(facts.flags, task_flags::KTHREAD);

        let zombie = BASH.replace(") S ", ") Z ");
        assert!(Stat::parse(zombie.as_bytes()).unwrap().is_ended());
        let leader_gone = zombie.replace(" 20 0 1 0 4521", " 20 0 2 0 4521");
        assert!(!Stat::parse(leader_gone.as_bytes()).unwrap().is_ended(), "another thread goes on");
    }

    #[test]
    fn devices_with_large_minors() {
        assert_eq!(device(0x8801), 136 << 20 | 1);
        assert_eq!(device(0), 0);
        // mknod(8) of 259:300 shows as st_rdev 0x11032c.
        assert_eq!(device(0x0011_032c), 0x103 << 20 | 0x12c);
    }

    #[test]
    fn status_of_a_process_two_pid_namespaces_down() {
        let mut facts = task();
        let text = b"Name:\tx\\ny\nUid:\t1000\t0\t1\t2\nGid:\t3\t4\t5\t6\nNSpid:\t900\t20\t1\nNSpgid:\t900\t20\t1\n\
            NSsid:\t800\t0\t0\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000000400\n\
            CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000001\nno colon\n\xff\xfe: 1\n";
        fill_from_status(text, &mut facts);
        assert_eq!((facts.uid, facts.euid, facts.suid, facts.fsuid), (1000, 0, 1, 2));
        assert_eq!((facts.gid, facts.egid, facts.sgid, facts.fsgid), (3, 4, 5, 6));
        assert_eq!((facts.vpid, facts.vpgid, facts.vsid, facts.pid_level), (1, 1, 0, 2));
        assert_eq!(facts.flags, task_flags::NS_INIT);
        assert_eq!((facts.cap_permitted, facts.cap_effective), (0x1ff_ffff_ffff, 1 << 10));
        assert_eq!((facts.cap_bounding, facts.cap_ambient, facts.cap_inheritable), (0xa804_25fb, 1, 0));
    }

    #[test]
    fn namespace_links() {
        assert_eq!(namespace(b"mnt:[4026531841]"), Some(4_026_531_841));
        for bad in [&b"mnt:4026531841"[..], b"", b"mnt:[]", b"mnt:[12", b"mnt:[99999999999]", b"\xff:[1]"] {
            assert_eq!(namespace(bad), None);
        }
    }

    #[test]
    fn names_are_cut_as_the_kernel_cuts_them() {
        assert_eq!(&padded(b"kworker/u8:3-events"), b"kworker/u8:3-ev\0");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Stat::parse(&text);
            fill_from_status(&text, &mut task());
            let _ = namespace(&text);
        }

        #[test]
        fn a_cut_line_is_no_stat_or_the_same(cut in 0..BASH.len()) {
            // Only the last fields, which are not always there, may be missing.
            if let Some(stat) = Stat::parse(&BASH.as_bytes()[..cut]) {
                prop_assert_eq!(stat.ppid, 1009);
                prop_assert!(stat.start_ticks <= 4521);
            }
        }
    }
}
