//! A segment of the spool is read up to where it is good, whatever its bytes.
//!
//! Records have checksums that random bytes do not get past, so good ones are put around the bytes: the first must be
//! found, and what is found must lie in order.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The agent as a whole carries BPF programs; this module needs nothing of it.
#[allow(dead_code, reason = "only reading is tried")]
#[path = "../../agent/src/spool/format.rs"]
mod format;

fuzz_target!(|bytes: &[u8]| {
    format::SegmentHeader::decode(bytes);
    let scan = format::scan(bytes, 0);
    assert!(scan.end <= bytes.len());

    let header = format::SegmentHeader { priority: 3, spool: [1; 16], first: 5 };
    let mut segment = header.encode().to_vec();
    assert_eq!(format::SegmentHeader::decode(&segment), Some(header));
    format::encode_record(5, 6, b"first", &mut segment);
    segment.extend_from_slice(bytes);
    format::encode_record(u64::MAX, 6, b"last", &mut segment);
    let scan = format::scan(&segment, 5);
    assert_eq!(scan.records[0].0.sequence, 5);
    assert!(scan.records.windows(2).all(|pair| pair[0].0.sequence < pair[1].0.sequence));
    assert!(scan.records.iter().all(|(record, end)| record.payload.end == *end && *end <= scan.end));
});
