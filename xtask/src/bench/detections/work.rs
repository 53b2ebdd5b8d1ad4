//! The workloads: what is done, again and again, while it is measured.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::Spent;

/// Files that are read one by one.
const FILES: u32 = 8_000;
/// C files that are compiled.
const SOURCES: u32 = 40;

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Workload {
    /// A file is opened and closed, a million times.
    OpenClose,
    /// A file is opened, asked for its size, read and closed, half a million times.
    OpenRead,
    /// A system call that nobody traces, ten million times.
    Getppid,
    /// /bin/true, 5,000 times.
    Spawn,
    /// A TCP connection over loopback, 100,000 times.
    Connect,
    /// `find` and `cat` over 8,000 files.
    FindCat,
    /// 40 C files compiled, two at a time.
    Compile,
}

impl Workload {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::OpenClose,
        Self::OpenRead,
        Self::Getppid,
        Self::Spawn,
        Self::Connect,
        Self::FindCat,
        Self::Compile,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenClose => "open+close",
            Self::OpenRead => "open+fstat+read+close",
            Self::Getppid => "getppid",
            Self::Spawn => "spawn /bin/true",
            Self::Connect => "TCP connect",
            Self::FindCat => "find + cat",
            Self::Compile => "compile -j2",
        }
    }

    /// How often it is done, or with how many files.
    const fn count(self) -> u32 {
        match self {
            Self::OpenClose => 1_000_000,
            Self::OpenRead => 500_000,
            Self::Getppid => 10_000_000,
            Self::Spawn => 5_000,
            Self::Connect => 100_000,
            Self::FindCat => FILES,
            Self::Compile => SOURCES,
        }
    }
}

/// Do one of the workloads of `bench detections`, and say what it took.
#[derive(clap::Args)]
pub struct Args {
    /// Which.
    #[arg(value_enum)]
    workload: Workload,
    /// How often.
    count: u32,
    /// A directory with what it needs.
    directory: PathBuf,
}

/// A piece of work.
pub struct Work {
    workload: Workload,
    count: u32,
    directory: PathBuf,
}

impl Work {
    /// Gets ready what a workload needs, below a directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn prepare(workload: Workload, scale: u32, scratch: &Path) -> Result<Self> {
        let count = workload.count() / scale;
        let directory = scratch.join(format!("{workload:?}-{count}").to_lowercase());
        if !directory.is_dir() {
            fill(workload, count, &directory).with_context(|| directory.display().to_string())?;
        }
        Ok(Self { workload, count, directory })
    }

    /// What [`Args`] reads.
    pub fn arguments(&self) -> [String; 3] {
        let name = self.workload.to_possible_value().map(|value| value.get_name().to_owned());
        [name.unwrap_or_default(), self.count.to_string(), self.directory.display().to_string()]
    }
}

fn fill(workload: Workload, count: u32, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    match workload {
        Workload::OpenClose | Workload::OpenRead => {
            fs::write(directory.join("file"), "0123456789\n".repeat(10))?
        }
        Workload::FindCat => {
            for number in 0..count {
                let sub = directory.join((number % 80).to_string());
                fs::create_dir_all(&sub)?;
                fs::write(sub.join(number.to_string()), "0123456789\n".repeat(50))?;
            }
        }
        Workload::Compile => {
            for number in 0..count {
                let text = format!(
                    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
                     int f{number}(const char *s) {{ char *t = strdup(s); int n = puts(t); free(t); return n + {number}; }}\n"
                );
                fs::write(directory.join(format!("f{number}.c")), text)?;
            }
        }
        Workload::Getppid | Workload::Spawn | Workload::Connect => {}
    }
    Ok(())
}

/// Does it and prints what it took, as JSON.
///
/// # Errors
/// When the work fails.
pub fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let before = processor_time()?;
    perform(args)?;
    let spent = Spent { wall: start.elapsed().as_secs_f64(), cpu: processor_time()? - before };
    println!("{}", serde_json::to_string(&spent)?);
    Ok(())
}

/// Seconds of processor time, of this process and of its children that have ended.
fn processor_time() -> Result<f64> {
    let mut microseconds = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        microseconds += usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    }
    Ok(microseconds as f64 / 1e6)
}

fn perform(args: &Args) -> Result<()> {
    let file = args.directory.join("file");
    match args.workload {
        Workload::OpenClose => {
            for _ in 0..args.count {
                drop(File::open(&file)?);
            }
        }
        Workload::OpenRead => {
            let mut buffer = [0u8; 4096];
            for _ in 0..args.count {
                let mut open = File::open(&file)?;
                black_box(open.metadata()?.len());
                black_box(open.read(&mut buffer)?);
            }
        }
        Workload::Getppid => {
            for _ in 0..args.count {
                black_box(rustix::process::getppid());
            }
        }
        Workload::Spawn => {
            for _ in 0..args.count {
                if !Command::new("/bin/true").stdin(Stdio::null()).status()?.success() {
                    bail!("/bin/true failed");
                }
            }
        }
        Workload::Connect => connect(args.count)?,
        Workload::FindCat => {
            shell("find . -type f -print0 | xargs -0 -n 100 cat > /dev/null", &args.directory)?
        }
        Workload::Compile => {
            shell(
                "printf '%s\\n' *.c | xargs -P 2 -I {} gcc -O1 -c {} -o {}.o && rm -f *.o",
                &args.directory,
            )?;
        }
    }
    Ok(())
}

/// Connects, accepts and closes, over the whole of 127/8: one address would run out of ports.
fn connect(count: u32) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = listener.local_addr()?.port();
    for number in 0..count {
        let [.., high, low] = (number % 60_000).to_be_bytes();
        let near = TcpStream::connect(SocketAddrV4::new(Ipv4Addr::new(127, 1, high, low.max(1)), port))?;
        drop(listener.accept()?);
        drop(near);
    }
    Ok(())
}

fn shell(script: &str, directory: &Path) -> Result<()> {
    let status =
        Command::new("sh").args(["-euc", script]).current_dir(directory).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { bail!("`{script}` failed ({status})") }
}
