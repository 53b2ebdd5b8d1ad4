//! A record from the kernel decodes or is refused, whatever its bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_event::decode;

fuzz_target!(|bytes: &[u8]| {
    // What is decoded borrows from the bytes: printing it visits every part.
    if let Ok(record) = decode(bytes) {
        let _ = format!("{record:?}");
    }
});
