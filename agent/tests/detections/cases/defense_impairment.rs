//! Cases for the policy `defense-impairment`.

use std::fs;

use super::{Case, act, os};

pub const CASES: &[Case] = &[Case {
    rule: "Log cleared",
    attacks: &[act("truncated", |s| {
        let place = s.place("/var/log/apt");
        fs::write(&place.path, "made by a test").unwrap();
        s.run(s.act(["truncate"]).arg(&place))
    })],
    evasions: &[],
    benign: &[act("appended_and_read", |s| {
        let place = s.place("/var/log/apt");
        s.acts(&[&[os("append"), os(&place)], &[os("append"), os(&place)], &[os("read"), os(&place)]])
    })],
}];
