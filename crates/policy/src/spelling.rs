//! Merged spellings: directories that are one and the same on today's systems, under two names.
//!
//! Vedette's paths are what the kernel resolved, so `/bin/sh` is seen as `/usr/bin/sh` where `/bin` is a link. A rule
//! written for the other spelling still matches: a literal path in a rule also stands for its merged spelling.

/// The table: each directory on the left is the one on the right where the system is merged.
pub const MERGED: &[(&str, &str)] = &[
    ("/bin", "/usr/bin"),
    ("/sbin", "/usr/sbin"),
    ("/lib", "/usr/lib"),
    ("/lib32", "/usr/lib32"),
    ("/lib64", "/usr/lib64"),
    ("/libx32", "/usr/libx32"),
    ("/var/run", "/run"),
    ("/var/lock", "/run/lock"),
];

/// The other spelling of a path (or of the beginning of one), if it has one.
pub fn merged(path: &[u8]) -> Option<Vec<u8>> {
    // The longest prefix decides: `/run/lock` is `/var/lock`, though `/run` is `/var/run`.
    let candidates = MERGED.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]);
    let (from, to) =
        candidates.filter(|(from, _)| lies_in(path, from.as_bytes())).max_by_key(|(from, _)| from.len())?;
    Some([to.as_bytes(), &path[from.len()..]].concat())
}

fn lies_in(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_by_whole_components() {
        let merged = |path: &str| merged(path.as_bytes()).map(|p| String::from_utf8(p).unwrap());
        assert_eq!(merged("/bin/sh").as_deref(), Some("/usr/bin/sh"));
        assert_eq!(merged("/usr/bin").as_deref(), Some("/bin"));
        assert_eq!(merged("/run/lock/x").as_deref(), Some("/var/lock/x"));
        assert_eq!(merged("/run/secrets").as_deref(), Some("/var/run/secrets"));
        assert_eq!(merged("/lib/*").as_deref(), Some("/usr/lib/*"));
        assert_eq!(merged("/binary"), None);
        assert_eq!(merged("/usr/local/bin"), None);
    }
}
