//! A condition parses or is refused at a place in it; printed, it parses to the same tree.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_policy::source::{MappedText, SourceId};
use vedette_policy::syntax::parse_condition;

fn mapped(text: &str) -> MappedText {
    let mut mapped = MappedText::default();
    mapped.push_exact(text, SourceId(0), 0);
    mapped
}

fuzz_target!(|text: &str| {
    match parse_condition(&mapped(text)) {
        Ok(expr) => {
            let printed = expr.to_string();
            match parse_condition(&mapped(&printed)) {
                Ok(again) => assert_eq!(expr, again, "{printed}"),
                Err(error) => panic!("{printed:?}: {error}"),
            }
        }
        Err(error) => assert!(error.span.start <= error.span.end && error.span.end as usize <= text.len()),
    }
});
