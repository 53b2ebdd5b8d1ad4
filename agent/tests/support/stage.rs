//! Where the actions of the tests take place, and what puts everything back.

// Each test target is a crate of its own, and none uses everything.
#![allow(dead_code, reason = "shared by test targets")]

use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::act;

/// How long a program that was just written may be held open by a child that is about to run something else.
const BUSY: Duration = Duration::from_secs(10);

/// A directory of its own outside of those that anybody may write to, with the helper in it.
pub struct Stage {
    directory: TempDir,
    numbers: AtomicUsize,
    /// Directories of the host that were made, the outer ones first. They stay until the end, for several tests at once
    /// may need one.
    made: Mutex<Vec<PathBuf>>,
    /// What lies in shared directories and is removed at the end only ([`SHARED`]).
    later: Arc<Mutex<Vec<PathBuf>>>,
}

/// What is made here stays until the end of all tests. File systems give the number of a removed file to the next one,
/// and a rule that follows a file by its number would take the file of one test for that of another.
const SHARED: &[&str] = &["/tmp", "/var/tmp", "/dev/shm"];

impl Drop for Stage {
    fn drop(&mut self) {
        self.later.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|path| remove(&path));
        let made = self.made.get_mut().map(std::mem::take).unwrap_or_default();
        for directory in made.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// A file or directory that is removed when the test is done with it.
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    later: Arc<Mutex<Vec<PathBuf>>>,
}

impl Drop for Made {
    fn drop(&mut self) {
        if SHARED.iter().any(|place| self.path.starts_with(place)) {
            self.later.lock().unwrap_or_else(PoisonError::into_inner).push(self.path.clone());
        } else {
            remove(&self.path);
        }
    }
}

fn remove(path: &Path) {
    // The action may have removed it, or never made it.
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

impl AsRef<OsStr> for Made {
    fn as_ref(&self) -> &OsStr {
        self.path.as_os_str()
    }
}

impl Stage {
    /// Sets it up.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("vedette-test-").tempdir_in("/var/lib").unwrap();
        let program = std::env::current_exe().unwrap();
        fs::copy(program, directory.path().join("helper")).unwrap();
        Self { directory, numbers: AtomicUsize::new(0), made: Mutex::default(), later: Arc::default() }
    }

    /// A name that no other test uses.
    fn fresh(&self, prefix: &str) -> String {
        format!("{prefix}-{}-{}", std::process::id(), self.numbers.fetch_add(1, Relaxed))
    }

    /// A new directory on the stage.
    pub fn directory(&self) -> PathBuf {
        let path = self.directory.path().join(self.fresh("d"));
        fs::create_dir(&path).unwrap();
        path
    }

    /// A file on the stage, in a new directory, with this path below it.
    pub fn file(&self, path: &str) -> PathBuf {
        let path = self.directory().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "made by a test\n").unwrap();
        path
    }

    /// A new symbolic link to a file.
    pub fn link_to(&self, target: &str) -> PathBuf {
        let path = self.directory.path().join(self.fresh("link"));
        symlink(target, &path).unwrap();
        path
    }

    /// A free path for a file in a directory of the host; directories that are missing are made.
    pub fn place(&self, directory: &str) -> Made {
        let mut made = self.made.lock().unwrap();
        let before = made.len();
        made.extend(Path::new(directory).ancestors().take_while(|path| !path.exists()).map(Path::to_owned));
        made[before..].reverse();
        fs::create_dir_all(directory).unwrap();
        Made { path: Path::new(directory).join(self.fresh("vedette-test")), later: Arc::clone(&self.later) }
    }

    /// A copy of a program of the system as `name`, in a new directory below `directory`.
    pub fn copy_of(&self, program: &str, directory: &str, name: &str) -> (Made, PathBuf) {
        let place = self.place(directory);
        fs::create_dir(&place.path).unwrap();
        let path = place.path.join(name);
        fs::copy(program, &path).unwrap();
        (place, path)
    }

    /// Where the helper is.
    pub fn helper(&self) -> PathBuf {
        self.directory.path().join("helper")
    }

    /// The helper, about to do this.
    pub fn act<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.act_by(&self.helper(), args)
    }

    /// The helper under another name: through a symbolic link, so that the task has the name and the executable not.
    pub fn named(&self, name: &str) -> PathBuf {
        let path = self.directory().join(name);
        symlink(self.helper(), &path).unwrap();
        path
    }

    /// The helper as another executable: a file of that name.
    pub fn executable(&self, name: &str) -> PathBuf {
        let path = self.directory().join(name);
        fs::hard_link(self.helper(), &path).unwrap();
        path
    }

    /// One of these, about to do this.
    pub fn act_by<S: AsRef<OsStr>>(&self, program: &Path, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program);
        command.arg(act::FLAG).args(args);
        command
    }

    /// Runs a command to its end, which must be a good one, and returns its pid. It is a job of its own, so that rules
    /// about a process group do not take two tests for one.
    pub fn run(&self, command: &mut Command) -> u32 {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let deadline = Instant::now() + BUSY;
        let child = loop {
            match command.spawn() {
                // A child of another test still has the program open for writing, from before its own exec.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                    thread::yield_now();
                }
                other => break other.unwrap_or_else(|error| panic!("{command:?}: {error}")),
            }
        };
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        pid
    }

    /// Runs several, one after the other, in one shell, and returns the pid of the shell.
    pub fn shell(&self, script: &str, args: &[&OsStr]) -> u32 {
        self.run(Command::new("/bin/sh").args(["-euc", script, "sh"]).args(args))
    }

    /// Runs the helper once for each list of arguments, below one process, whose pid is returned.
    pub fn acts(&self, acts: &[&[&OsStr]]) -> u32 {
        let mut script = String::new();
        let mut args: Vec<&OsStr> = Vec::new();
        let helper = self.helper();
        args.push(helper.as_os_str());
        for act in acts {
            script.push_str("\"$1\" ");
            script.push_str(act::FLAG);
            for argument in *act {
                args.push(argument);
                script.push_str(&format!(" \"${{{}}}\"", args.len()));
            }
            script.push('\n');
        }
        self.shell(&script, &args)
    }
}
