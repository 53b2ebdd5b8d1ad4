//! A recording is read up to where it is good, whatever its bytes.
//!
//! Blocks have checksums that random bytes do not get past, so the first byte chooses: the file as a whole, or the frames
//! inside a block.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vedette_event::recording::{Frames, read_everything};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    if choice % 2 == 0 {
        read_everything(rest);
        return;
    }
    let mut frames = Frames::new(rest);
    while let Ok(Some(frame)) = frames.next_frame() {
        let mut out = Vec::new();
        frame.encode(&mut out);
    }
});
