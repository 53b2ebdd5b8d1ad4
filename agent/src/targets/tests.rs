//! Paths of real trees.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use super::{walk::Pid, *};

struct Tree {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

fn tree() -> Tree {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("real/deep")).unwrap();
    fs::write(root.join("real/file"), "x").unwrap();
    symlink("real", root.join("link")).unwrap();
    symlink("real/file", root.join("to-file")).unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    symlink("/proc/self/cwd", root.join("cwd")).unwrap();
    Tree { _dir: dir, root }
}

fn me() -> Pid {
    Pid { tgid: std::process::id(), tid: std::process::id(), own: std::process::id() }
}

fn resolved(tree: &Tree, path: &str, follow: bool) -> Option<String> {
    let root = directory(b"/").unwrap();
    let path = format!("{}/{path}", tree.root.display());
    walk::resolve(&root, path.as_bytes(), follow, &me()).map(|p| String::from_utf8(p).unwrap())
}

#[test]
fn links_are_followed_as_the_call_does() {
    let tree = tree();
    let at = |path: &str| Some(tree.root.join(path).display().to_string());
    assert_eq!(resolved(&tree, "link/new", false), at("real/new"));
    assert_eq!(resolved(&tree, "link/./deep/../new", false), at("real/new"));
    assert_eq!(resolved(&tree, "link//deep//", false), at("real/deep"));
    assert_eq!(resolved(&tree, "to-file", false), at("to-file"), "the link itself");
    assert_eq!(resolved(&tree, "to-file", true), at("real/file"));
    assert_eq!(resolved(&tree, "link/gone", true), at("real/gone"), "nothing there");
    assert_eq!(resolved(&tree, "link/..", false), at("").map(|p| p.trim_end_matches('/').to_owned()));
    assert_eq!(resolved(&tree, "none/new", false), None);
}

#[test]
fn links_of_proc_are_followed_for_the_caller() {
    let tree = tree();
    assert_eq!(resolved(&tree, "magic/etc/new", false), Some("/etc/new".into()));
    let cwd = std::env::current_dir().unwrap().join("x").display().to_string();
    assert_eq!(resolved(&tree, "cwd/x", false), Some(cwd));
    let root = directory(b"/").unwrap();
    // Another process: the parent of this one has another working directory at most.
    let parent = Pid { tgid: std::os::unix::process::parent_id(), tid: 0, own: std::process::id() };
    let cwd = fs::read_link(format!("/proc/{}/cwd", parent.tgid)).unwrap().join("x");
    let found = walk::resolve(&root, b"/proc/self/cwd/x", false, &parent).unwrap();
    assert_eq!(found, cwd.as_os_str().as_encoded_bytes());
    let found = walk::resolve(&root, b"/proc/self/comm", true, &parent).unwrap();
    assert_eq!(found, format!("/proc/{}/comm", parent.tgid).as_bytes());
}

#[test]
fn a_root_is_not_left() {
    let tree = tree();
    symlink("/real", tree.root.join("absolute")).unwrap();
    symlink("../../../../real", tree.root.join("up")).unwrap();
    let root = directory(tree.root.as_os_str().as_encoded_bytes()).unwrap();
    let expected = tree.root.join("real/new");
    for path in ["/absolute/new", "/up/new", "/../../real/new"] {
        let found = walk::resolve(&root, path.as_bytes(), false, &me()).unwrap();
        assert_eq!(found, expected.as_os_str().as_encoded_bytes(), "{path}");
    }
}

#[test]
fn endless_links_end() {
    let tree = tree();
    symlink("loop", tree.root.join("loop")).unwrap();
    symlink("self-and-more/x/y", tree.root.join("self-and-more")).unwrap();
    assert_eq!(resolved(&tree, "loop/x", false), None);
    assert_eq!(resolved(&tree, "self-and-more/x", false), None);
    assert_eq!(resolved(&tree, "loop", true), Some(tree.root.join("loop").display().to_string()));
}

#[test]
fn plain_names_are_not_looked_up() {
    assert!(is_plain(b"name", false) && is_plain(b"", true));
    for path in [&b"a/b"[..], b"..", b".", b"/x"] {
        assert!(!is_plain(path, false), "{path:?}");
    }
    assert!(!is_plain(b"name", true), "the call follows it");
}
