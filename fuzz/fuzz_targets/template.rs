//! An output template parses or is refused at a place in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_policy::source::{MappedText, SourceId};
use vedette_policy::syntax::template::parse_template;

fuzz_target!(|text: &str| {
    let mut mapped = MappedText::default();
    mapped.push_exact(text, SourceId(0), 0);
    if let Err(error) = parse_template(&mapped) {
        assert!(error.span.start <= error.span.end && error.span.end as usize <= text.len());
    }
});
