//! Making good what lost records would have told about a process that is known.

use std::sync::Arc;

use super::State;
use crate::{Exec, Process, ProcessId};

impl State {
    /// Takes over what was read about a living process in `/proc` after records about it may have been lost. Returns
    /// whether anything had changed without a record.
    ///
    /// Ids, names and control group are what they are now; who made the process does not change. The program is
    /// replaced only by another one: arguments in `/proc` are the process's own to rewrite, those of a record are not.
    pub fn refresh(&mut self, read: Process) -> bool {
        let found = if read.approximate_start {
            self.processes.find_near(read.key)
        } else {
            self.processes.find(read.key)
        };
        let Some(id) = found else { return false };
        let incomplete = self.processes.get(id).is_some_and(|p| !p.has_facts() || !p.exec.is_known());
        if incomplete {
            self.complete(read);
            return true;
        }
        self.refresh_known(id, read)
    }

    fn refresh_known(&mut self, id: ProcessId, read: Process) -> bool {
        let Some(known) = self.processes.get_mut(id).filter(|p| p.exited.is_none()) else { return false };
        let other_name = read.task.comm != known.task.comm;
        let mut task = read.task;
        (task.start, task.parent_tgid, task.parent_start, task.parent_comm) =
            (known.task.start, known.task.parent_tgid, known.task.parent_start, known.task.parent_comm);
        if task.cgroup == 0 {
            // It could not be read.
            task.cgroup = known.task.cgroup;
        }
        // What changes all the time is not worth a word.
        task.threads = known.task.threads;
        let mut changed = task != known.task;
        known.task = task;
        if is_another(&known.exec, &read.exec, other_name) {
            known.exec = Arc::clone(&read.exec);
            known.cwd = Arc::clone(&read.cwd);
            known.line = Default::default();
            changed = true;
        } else if !read.cwd.is_empty() && read.cwd != known.cwd {
            known.cwd = read.cwd;
            changed = true;
        }
        changed
    }
}

/// Whether a process runs another program than was known: another file, or the same under another name and with other
/// arguments, as an interpreter or a multi-call binary does.
fn is_another(known: &Exec, read: &Exec, other_name: bool) -> bool {
    if !read.is_known() || read.exe_path.is_empty() {
        return false;
    }
    let file = |exec: &Exec| (exec.exe.0.dev, exec.exe.0.ino);
    file(known) != file(read) || (other_name && known.argv != read.argv)
}
