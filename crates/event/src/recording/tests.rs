use std::sync::Arc;

use proptest::prelude::*;

use super::{snapshot::Restore, *};
use crate::{
    EventTimes, Knowledge, Metadata, Origin, Pod, Process, ProcessKey, State, StateLimits, Usage,
    alert::{GapInfo, Time},
    decode,
    testing::RecordBuilder,
};

fn key(tgid: u32) -> ProcessKey {
    ProcessKey { tgid, start: u64::from(tgid) * 1_000_000_000 }
}

fn header() -> Header {
    Header {
        abi: ABI_VERSION,
        node: "n1".into(),
        boot_id: "b".into(),
        boot_epoch_ns: 5,
        max_processes: 100,
        max_cgroups: 100,
        ..Header::default()
    }
}

fn process(tgid: u32) -> Process {
    let mut process = Process::unknown(key(tgid));
    process.exec = Arc::new(crate::Exec {
        exe_path: b"/usr/bin/cat".as_slice().into(),
        argv: b"cat\0/etc/shadow\0".as_slice().into(),
        env: b"A=\xff\0".as_slice().into(),
        argv_total: 20,
        time: 77,
        ..crate::Exec::default()
    });
    process.task.uid = 1000;
    process.cwd = b"/tmp".as_slice().into();
    process.origin = Origin::Healed;
    process.approximate_start = true;
    process.exited = Some(9);
    process
}

fn open(seq: u64) -> Vec<u8> {
    RecordBuilder::file_open(key(7), "/etc/shadow", "/tmp/x").time(seq).build()
}

/// A recording of a few blocks.
fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    let mut encoded = Vec::new();
    let bytes = open(3);
    Frame::SnapshotBegin(Snapshot::default()).encode(&mut encoded);
    Frame::Process { process: Box::new(process(7)), parent: Some(key(1)) }.encode(&mut encoded);
    Frame::Process { process: Box::new(process(1)), parent: None }.encode(&mut encoded);
    Frame::SnapshotEnd { left_out: 0 }.encode(&mut encoded);
    writer.frames(&encoded).unwrap();
    writer.flush().unwrap();
    for _ in 0..3 {
        writer.frame(&Frame::Record(&bytes)).unwrap();
        writer.frame(&Frame::Time(9)).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> (Vec<String>, Result<Ending, RecordingError>) {
    let mut reader = Reader::new(bytes);
    let mut out = Vec::new();
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => out.push(format!("{frame:?}")),
            Ok(None) => return (out, Ok(reader.ending())),
            Err(error) => return (out, Err(error)),
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let bytes = open(3);
    let gap = GapInfo {
        ring: "events".into(),
        cpu: 1,
        kind: "file_open".into(),
        cgroup: Some(7),
        count: 3,
        from: Time(1),
        to: Time(2),
    };
    let frames = [
        Frame::SnapshotBegin(Snapshot {
            number: 4,
            last_prune: 5,
            times: EventTimes { first: 6, previous: 7, last: 8 },
            gaps: vec![gap],
        }),
        Frame::Cgroup { id: 1, path: "/a", retired: Some(3) },
        Frame::Container {
            id: "c",
            made: Some(3),
            knowledge: Knowledge::Late,
            metadata: Box::new(Metadata { name: Some("web".into()), ..Metadata::default() }),
        },
        Frame::Pod { uid: "u", pod: Some(Box::new(Pod { uid: "u".into(), ..Pod::default() })) },
        Frame::Pod { uid: "v", pod: None },
        Frame::Process { process: Box::new(process(7)), parent: Some(key(1)) },
        Frame::SnapshotEnd { left_out: 2 },
        Frame::Lookup { key: key(9), found: Some(Box::new(process(9))) },
        Frame::Lookup { key: key(10), found: None },
        Frame::Name { ns_mnt: 4, kind: NameKind::Group, id: 0, name: Some("root") },
        Frame::Name { ns_mnt: 4, kind: NameKind::User, id: 8, name: None },
        Frame::Usage { key: key(4), tid: 5, usage: None },
        Frame::Usage {
            key: key(4),
            tid: 4,
            usage: Some(Usage { descriptor_limit: Some(-1), threads: Some(2), ..Usage::default() }),
        },
        Frame::Name { ns_mnt: 4, kind: NameKind::Shell, id: 0, name: Some("/bin/sh") },
        Frame::Record(&bytes),
        Frame::Lost { records: 5, from: 6, to: 7 },
        Frame::Time(8),
    ];
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    for frame in &frames {
        writer.frame(frame).unwrap();
    }
    let file = writer.finish().unwrap();
    let mut expected: Vec<_> = frames.iter().map(|frame| format!("{frame:?}")).collect();
    expected.push("End".into());
    let (found, ending) = read(&file);
    assert_eq!(found, expected);
    assert_eq!(ending.unwrap(), Ending::Complete);
    let mut reader = Reader::new(&*file);
    reader.next_frame().unwrap();
    assert_eq!(*reader.header(), header());
}

#[test]
fn a_file_cut_at_any_byte_reads_up_to_the_cut() {
    let file = sample();
    let (whole, _) = read(&file);
    let mut last = 0;
    for cut in 0..file.len() {
        let (found, ending) = read(&file[..cut]);
        assert_eq!(found[..], whole[..found.len()], "cut at {cut}");
        assert!(found.len() >= last, "cut at {cut}: less than with fewer bytes");
        last = found.len();
        let ending = ending.unwrap();
        assert_ne!(ending, Ending::Complete, "cut at {cut}");
    }
    assert_eq!(last, whole.len() - 1, "everything but the mark of the end, which is in the last block");
}

#[test]
fn a_recording_goes_on_after_a_cut() {
    let file = sample();
    let mut blocks = Blocks::new(&file[..file.len() - 3]);
    while let Ok(Some(_)) = blocks.next_item() {}
    let mut appended = file[..blocks.offset() as usize].to_vec();
    let other = Header { node: "n2".into(), ..header() };
    let mut writer = Writer::new(&mut appended, &other).unwrap();
    writer.frame(&Frame::Time(1)).unwrap();
    writer.finish().unwrap();

    let mut reader = Reader::new(&*appended);
    let mut segments = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        let is_end = matches!(frame, Frame::End);
        segments.push((reader.segments(), reader.header().node.clone(), is_end));
    }
    assert_eq!(segments.len(), 10 + 2);
    assert_eq!(segments[9], (1, "n1".into(), false));
    assert_eq!(segments[10..], [(2, "n2".into(), false), (2, "n2".into(), true)]);
    assert_eq!(reader.ending(), Ending::Complete);
}

#[test]
fn frames_of_later_versions_are_passed_over_and_counted() {
    let mut payload = vec![200, 2, 0, 0, 0, 1, 2];
    Frame::Time(1).encode(&mut payload);
    // A later version adds fields at the end of a frame.
    payload.extend_from_slice(&[10, 9, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 99]);
    let mut file = Writer::new(Vec::new(), &header()).unwrap().finish().unwrap();
    file.extend(encode_block(&payload).unwrap());
    file.extend(encode_block(&[200, 0, 0, 0, 0]).unwrap());
    let mut reader = Reader::new(&*file);
    let mut found = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        found.push(format!("{frame:?}"));
    }
    assert_eq!(found, ["End", "Time(1)", "Time(2)"]);
    assert_eq!(reader.unknown(), 2);
}

#[test]
fn what_is_no_recording_or_of_another_version_is_said_to_be() {
    assert!(matches!(read(b"PK\x03\x04").1, Err(RecordingError::NotARecording)));
    assert!(matches!(read(b"time,rule,priority\n").1, Err(RecordingError::NotARecording)));
    assert_eq!(read(b"").1.unwrap(), Ending::Unfinished);
    let mut file = sample();
    file[8] = 1;
    let error = read(&file).1.unwrap_err();
    assert_eq!(error.to_string(), "the recording has format version 1, this build reads version 2");
    let old = Writer::new(Vec::new(), &Header { abi: 99, ..header() }).unwrap().finish().unwrap();
    assert!(matches!(read(&old).1, Err(RecordingError::Abi { found: 99 })));
}

#[test]
fn no_more_memory_than_a_block_may_take() {
    let mut file = Writer::new(Vec::new(), &header()).unwrap().finish().unwrap();
    let bomb = zstd::bulk::compress(&vec![0; MAX_PAYLOAD + 1], 1).unwrap();
    file.extend((bomb.len() as u32).to_le_bytes());
    file.extend(crc32fast::hash(&bomb).to_le_bytes());
    file.extend(bomb);
    let (found, error) = read(&file);
    assert_eq!(found, ["End"]);
    assert!(matches!(error, Err(RecordingError::Damaged { what, .. }) if what.contains("size")));
    // A length without the bytes takes none either.
    let mut file = Writer::new(Vec::new(), &header()).unwrap().finish().unwrap();
    file.extend((MAX_BLOCK as u32 + 1).to_le_bytes());
    file.extend([0; 4]);
    assert!(matches!(read(&file).1, Err(RecordingError::Damaged { .. })));
}

/// Processes by key: what they were, and whose children.
fn described(state: &State) -> Vec<String> {
    let mut all: Vec<String> = state
        .processes
        .iter()
        .map(|p| {
            let parent = p.parent.and_then(|id| state.processes.get(id)).map(|p| p.key);
            format!("{:?} {parent:?} {:?}", p.key, Process { parent: None, ..p.clone() })
        })
        .collect();
    all.extend(state.cgroups.iter().map(|(id, group)| format!("{id} {group:?}")));
    all.sort();
    all
}

#[test]
fn a_state_comes_back_as_it_was() {
    let mut state = State::new(StateLimits { processes: 100, cgroups: 10, hierarchy: None });
    let id = "0123456789abcdef".repeat(4);
    state.cgroups.insert(1, "/");
    state.cgroups.insert(2, &format!("/docker/{id}"));
    state.cgroups.describe(&id, |c| {
        (c.made, c.knowledge) = (Some(7), Knowledge::Known);
        c.metadata.image = Some("nginx".into());
    });
    state.cgroups.insert(3, "/gone");
    state.cgroups.retire(3, 50);
    let records = [
        RecordBuilder::process_exec(key(1), "/sbin/init", &["init"]).time(1).build(),
        RecordBuilder::process_exec(key(9), "/bin/sh", &["sh", "-c", "x"]).parent(key(1)).time(2).build(),
        RecordBuilder::process_fork(key(5), key(9)).time(3).build(),
        RecordBuilder::process_exit(key(9)).time(4).build(),
        open(5),
    ];
    for record in &records {
        state.apply(&decode(record).unwrap());
    }
    let mut encoded = Vec::new();
    assert_eq!(
        snapshot::write(&state, Snapshot { number: 5, ..Snapshot::default() }, 1 << 20, &mut encoded),
        0
    );
    let mut frames = Frames::new(&encoded);
    let mut restore = Restore::new(StateLimits { processes: 100, cgroups: 10, hierarchy: None });
    let mut restored = None;
    while let Some(frame) = frames.next_frame().unwrap() {
        assert!(restored.is_none(), "the snapshot is whole with its last frame");
        restored = restore.frame(&frame);
    }
    let restored = restored.unwrap();
    assert_eq!(restored.number(), 5);
    let copy = restored.into_state();
    assert_eq!(described(&copy), described(&state));
    assert_eq!(
        copy.cgroups.get(2).unwrap().container.as_ref().unwrap().metadata.image.as_deref(),
        Some("nginx")
    );

    let mut small = Vec::new();
    assert_eq!(snapshot::write(&state, Snapshot::default(), 0, &mut small), 4, "left out and counted");
}

proptest! {
    #[test]
    fn damage_never_panics_and_never_invents(at in 0usize..4096, bit in 0u8..8, cut in 0usize..4096) {
        let whole = sample();
        let mut file = whole.clone();
        let at = at % file.len();
        file[at] ^= 1 << bit;
        let (expected, _) = read(&whole);
        let (found, _) = read(&file);
        prop_assert!(found.len() <= expected.len());
        prop_assert_eq!(&found[..], &expected[..found.len()]);
        read_everything(&file[..cut % (file.len() + 1)]);
    }

    #[test]
    fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), header_first: bool) {
        read_everything(&bytes);
        // With a good header and a good checksum, the frames are what is tried.
        let mut file = if header_first { sample() } else { Writer::new(Vec::new(), &header()).unwrap().finish().unwrap() };
        if let Some(first) = bytes.first_mut() {
            *first %= 13;
        }
        if bytes.len() > 5 {
            let len = (bytes.len() - 5) as u32;
            bytes[1..5].copy_from_slice(&len.to_le_bytes());
        }
        file.extend(encode_block(&bytes).unwrap());
        read_everything(&file);
    }
}
