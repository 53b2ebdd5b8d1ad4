//! Control groups that no record told of: looked up when the first event comes from one.

use std::collections::HashSet;

use vedette_abi::Header;
use vedette_event::{Cgroup, Cgroups};

use crate::proc::Proc;

/// Attempts to look a group up that failed and are remembered, so that the next event of the same process does not ask
/// again. Beyond that all of them are forgotten.
const REMEMBERED: usize = 4096;

/// Who looks groups up.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Group and process of the last event, which need not be asked about: most events come from the same as the one
    /// before.
    last: (u64, u32),
    /// Groups that are nowhere to be found, with the processes that were asked: another one may tell, where the first has
    /// ended already.
    unknown: HashSet<(u64, u32)>,
}

impl Groups {
    /// The record of the making of an event's group, where the group is not known and the process tells which it is.
    pub fn look_up(&mut self, event: &Header, known: &Cgroups, proc: &Proc) -> Option<Vec<u8>> {
        let group = event.cgroup;
        let asked = (group, event.tgid);
        if asked == self.last || group == 0 || event.tgid == 0 {
            return None;
        }
        self.last = asked;
        if known.get(group).is_some() || self.unknown.contains(&asked) {
            return None;
        }
        let found = proc.group(event.tgid).filter(|(id, _)| *id == group);
        let Some((hierarchy, (_, path))) = proc.hierarchy().zip(found) else {
            if self.unknown.len() >= REMEMBERED {
                self.unknown.clear();
            }
            self.unknown.insert(asked);
            return None;
        };
        Cgroup::made_record(event, hierarchy.number, &path)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use vedette_event::{ProcessKey, decode, testing::RecordBuilder};

    use super::*;
    use crate::identity::Hierarchy;

    const CAT: ProcessKey = ProcessKey { tgid: 7, start: 9 };

    #[test]
    fn a_group_whose_making_was_lost_is_found_by_its_first_event() {
        let dir = tempfile::tempdir().unwrap();
        let (mount, root) = (dir.path().join("cgroup"), dir.path().join("proc"));
        let path = format!("/docker/{}", "a".repeat(64));
        fs::create_dir_all(mount.join(&path[1..])).unwrap();
        fs::create_dir_all(root.join("7")).unwrap();
        fs::write(root.join("7/cgroup"), format!("4:pids:/x\n0::{path}\n")).unwrap();
        let id = fs::metadata(mount.join(&path[1..])).unwrap().ino();
        let proc = Proc::new(&root).with_hierarchy(Hierarchy {
            controller: None,
            number: 0,
            mount,
            root: "/".into(),
        });
        let mut known = Cgroups::new(8);
        let mut groups = Groups::default();
        let event = |tgid, group| {
            let key = ProcessKey { tgid, ..CAT };
            let open = RecordBuilder::file_open(key, "/x", "/x").cgroup(group).time(5).build();
            decode(&open).unwrap().header
        };

        let made = groups.look_up(&event(7, id), &known, &proc).unwrap();
        let record = decode(&made).unwrap();
        let vedette_event::Body::CgroupMkdir { facts, path: told } = record.body else {
            panic!("{record:?}")
        };
        assert_eq!((facts.id, facts.hierarchy, told), (id, 0, path.as_bytes()));
        assert_eq!(record.header.time, 5);

        known.insert(id, &path);
        assert_eq!(groups.look_up(&event(7, id), &known, &proc), None, "it is known now");
        assert_eq!(groups.look_up(&event(7, id + 1), &known, &proc), None, "the process is in another");
        assert_eq!(groups.look_up(&event(8, id + 2), &known, &proc), None, "the process is gone");
        assert_eq!(groups.unknown.len(), 2);
        let (known, mut groups) = (Cgroups::new(8), Groups::default());
        assert_eq!(groups.look_up(&event(8, id), &known, &proc), None, "this process is gone");
        assert!(groups.look_up(&event(7, id), &known, &proc).is_some(), "another one tells");
        assert_eq!(groups.look_up(&event(7, 0), &known, &proc), None, "no hierarchy");
    }
}
