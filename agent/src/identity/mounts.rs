//! `/proc/PID/mountinfo` and `/proc/cgroups`: which control group hierarchies there are (`proc_pid_mountinfo(5)`,
//! `cgroups(7)`). Pure functions of their text.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// A mounted control group file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupMount {
    /// Whether it is cgroup v2.
    pub v2: bool,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The directory of the hierarchy that is mounted there, `/` for all of it.
    pub root: String,
    /// v1: controllers and `name=…`, as the super block's options say.
    pub options: Vec<String>,
}

impl CgroupMount {
    /// Whether it shows the whole hierarchy. A root above the reader's control group namespace shows as `/..`.
    pub fn is_whole(&self) -> bool {
        self.root.split('/').all(|component| component.is_empty() || component == "..")
    }
}

/// The control group mounts in a mount table; `base` is put before each mount point.
pub fn cgroup_mounts(mountinfo: &str, base: &Path) -> Vec<CgroupMount> {
    mountinfo.lines().filter_map(|line| mount(line, base)).collect()
}

/// One line: `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn mount(line: &str, base: &Path) -> Option<CgroupMount> {
    let (mount, fs) = line.split_once(" - ")?;
    let mut fs = fs.split(' ');
    let v2 = match fs.next()? {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    let options = fs.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect();
    let mut fields = mount.split(' ').skip(3);
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    Some(CgroupMount { v2, point: base.join(point.trim_start_matches('/')), root, options })
}

/// Undoes the kernel's `\040` for blanks, tabs, newlines and backslashes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// v1 controllers and the numbers of their hierarchies, from `/proc/cgroups`. Number 0 stands for v2 and for
/// controllers that are not bound at all; they are left out, and so are those that are switched off.
pub fn v1_hierarchies(cgroups: &str) -> HashMap<String, u32> {
    cgroups
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (name, number) = (fields.next()?, fields.next()?.parse().ok()?);
            let enabled = fields.nth(1)? == "1";
            (number != 0 && enabled).then(|| (name.to_owned(), number))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lines_that_matter() {
        let text = "\
            22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
            40 31 0:37 /docker/x /a\\040b\\134c rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
            41 31 0:38 /.. /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
            a line without a dash\n\
            1 2 3:4 - cgroup2\n";
        let found = cgroup_mounts(text, Path::new("/proc/1/root"));
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].point, Path::new("/proc/1/root/sys/fs/cgroup/memory"));
        assert_eq!(
            (found[0].v2, found[0].options.as_slice()),
            (false, &["rw".to_owned(), "memory".to_owned()][..])
        );
        assert_eq!(found[1].point, Path::new("/proc/1/root/a b\\c"));
        assert!(!found[1].is_whole() && found[0].is_whole() && found[2].is_whole());
        assert!(found[2].v2);
    }

    #[test]
    fn controllers_on_v1() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\nmemory\t4\t17\t0\npids\t0\t1\t1\nbroken\n";
        assert_eq!(v1_hierarchies(text), HashMap::from([("cpuset".to_owned(), 3)]));
        assert!(v1_hierarchies("").is_empty());
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\040b\011\134"), "a b\t\\");
        for odd in [r"\", r"\9", r"\99x", r"x\04", r"\777", "\\é00"] {
            assert_eq!(unescape(odd), odd, "what is no escape stays as it is");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = cgroup_mounts(&text, Path::new("/"));
            let _ = v1_hierarchies(&text);
            let _ = unescape(&text);
        }
    }
}
