mod faulty;
mod model;

use faulty::{Fault, FaultyDisk};

use super::{
    Appended, Cursor, Limits, Spool,
    format::{self, Parsed, RECORD_HEADER, SEGMENT_HEADER},
    log::Log,
    shed::Reason,
};

const LIMITS: Limits = Limits { bytes: 8192 + 16_384, segment: 2048 };

fn open(disk: &FaultyDisk) -> Log<FaultyDisk> {
    Log::open(disk.clone(), LIMITS, [7; 16]).unwrap()
}

fn numbers(log: &mut Log<FaultyDisk>) -> Vec<u64> {
    log.read(&mut Cursor::default(), usize::MAX, usize::MAX).iter().map(|stored| stored.sequence).collect()
}

#[test]
fn in_order_whatever_the_priority_and_only_what_is_durable() {
    let mut log = open(&FaultyDisk::default());
    for number in 0..20u8 {
        assert_eq!(log.append(number % 8, 5, &[number; 40]), Appended::Kept(u64::from(number) + 1));
    }
    assert_eq!(numbers(&mut log), [0; 0]);
    log.commit();
    assert_eq!(numbers(&mut log), (1..=20).collect::<Vec<_>>());
    let mut cursor = Cursor::default();
    let first = log.read(&mut cursor, 3, usize::MAX);
    assert_eq!(
        first.iter().map(|s| (s.priority, s.payload[0])).collect::<Vec<_>>(),
        [(0, 0), (1, 1), (2, 2)]
    );
    assert_eq!(log.read(&mut cursor, usize::MAX, 100).len(), 3, "about a hundred bytes");
    log.append(2, 5, b"late");
    log.commit();
    assert_eq!(log.read(&mut cursor, usize::MAX, usize::MAX).len(), 15);
    assert_eq!(log.read(&mut cursor, usize::MAX, usize::MAX).len(), 0);
}

#[test]
fn what_has_arrived_does_not_come_back_and_numbers_are_never_given_twice() {
    let disk = FaultyDisk::default();
    let mut log = open(&disk);
    for number in 0..200u8 {
        log.append(4, 5, &[number; 100]);
    }
    log.commit();
    assert_eq!(log.figures().shed[4], log.figures().shed.iter().sum::<u64>());
    log.acknowledge(u64::MAX);
    assert_eq!((log.figures().waiting, log.figures().acknowledged), (0, 200));
    log.close();
    let mut log = open(&disk);
    assert_eq!(numbers(&mut log), [0; 0]);
    match log.append(4, 5, b"new") {
        Appended::Kept(sequence) => assert!(sequence > 200),
        shed @ Appended::Shed(_) => panic!("{shed:?}"),
    }
}

#[test]
fn the_least_urgent_and_oldest_makes_room_and_is_counted() {
    let disk = FaultyDisk::default();
    let mut log = open(&disk);
    // Urgent ones first, then far more debugging than there is room for.
    for _ in 0..10 {
        log.append(1, 10, &[1; 200]);
    }
    for time in 0..200 {
        log.append(7, 1000 + time, &[7; 200]);
    }
    log.commit();
    assert!(disk.total() <= LIMITS.bytes);
    let left = log.read(&mut Cursor::default(), usize::MAX, usize::MAX);
    assert_eq!(left.iter().filter(|stored| stored.priority == 1).count(), 10);
    let debug: Vec<u64> = left.iter().filter(|s| s.priority == 7).map(|s| s.sequence).collect();
    assert_eq!(debug.last(), Some(&210), "the newest are there");
    let sheds = log.sheds();
    assert_eq!(sheds.len(), 1);
    let shed = &sheds[0];
    assert_eq!((shed.priority, shed.reason, shed.id), (7, Reason::Full as u32, 1));
    assert_eq!(shed.count + debug.len() as u64, 200);
    assert_eq!((shed.first_sequence, shed.last_sequence), (11, debug[0] - 1));
    assert_eq!((shed.first_time, shed.last_time), (1000, 1000 + shed.count - 1));

    // With nothing but what is more urgent there, it is the new one that goes.
    while log.figures().bytes + (SEGMENT_HEADER + RECORD_HEADER + 200) as u64 <= LIMITS.bytes
        || log.figures().shed[7] < 200
    {
        log.append(1, 10, &[1; 200]);
    }
    assert!(matches!(log.append(6, 10, &[1; 200]), Appended::Shed(_)));
    // The first report stays as it is until it has arrived; the rest comes behind it, after a restart too.
    assert_eq!(log.sheds(), sheds);
    log.close();
    let mut log = open(&disk);
    assert_eq!(log.sheds(), sheds);
    log.acknowledge_sheds(1);
    let rest = log.sheds();
    assert!(rest.iter().any(|s| s.priority == 7) && rest.iter().any(|s| s.priority == 6), "{rest:?}");
}

#[test]
fn a_full_disk_gives_up_the_least_urgent() {
    let disk = FaultyDisk::default();
    let mut log = open(&disk);
    log.append(7, 1, &[7; 100]);
    log.append(2, 1, &[2; 100]);
    log.commit();
    disk.fail_after(0, Fault::NoSpace);
    assert!(matches!(log.append(2, 1, &[2; 100]), Appended::Kept(_)));
    log.commit();
    assert_eq!(numbers(&mut log), [2, 3]);
    let sheds = log.sheds();
    assert_eq!((sheds[0].priority, sheds[0].count, sheds[0].reason), (7, 1, Reason::Disk as u32));
    assert_eq!(log.figures().errors, 1);
}

#[test]
fn what_the_disk_has_spoilt_is_left_out_and_reported() {
    let names = |disk: &FaultyDisk| {
        use super::disk::Disk;
        let mut names: Vec<_> = disk.list().unwrap().into_iter().filter(|n| n.ends_with("seg")).collect();
        names.sort();
        names
    };
    for at in 0..1200 {
        let disk = FaultyDisk::default();
        let mut log = open(&disk);
        for number in 0..8u8 {
            log.append(3, 5, &[number; 120]);
        }
        log.commit();
        drop(log);
        disk.spoil(&names(&disk)[0], at);
        let mut log = open(&disk);
        let left = numbers(&mut log);
        assert!(left.windows(2).all(|pair| pair[0] < pair[1]));
        // The file's header costs the file, which nobody can tell from another; anything else one record, or the tail.
        if at >= SEGMENT_HEADER {
            assert!(left.len() < 8, "{at}");
        }
        log.append(3, 5, b"goes on");
        log.commit();
        assert_eq!(numbers(&mut log).len(), left.len() + 1, "{at}");
    }
    // In the middle, with more behind it, it is told.
    let disk = FaultyDisk::default();
    let mut log = open(&disk);
    for number in 0..8u8 {
        log.append(3, 5, &[number; 120]);
    }
    log.commit();
    disk.spoil(&names(&disk)[0], SEGMENT_HEADER + 2 * (RECORD_HEADER + 120) + RECORD_HEADER + 7);
    assert_eq!(numbers(&mut log), [1, 2, 4, 5, 6, 7, 8]);
    let sheds = log.sheds();
    assert_eq!((sheds[0].count, sheds[0].reason), (1, Reason::Corrupt as u32));
    drop(log);
    assert_eq!(open(&disk).figures().corrupt, 1);
}

#[test]
fn a_length_that_is_spoilt_costs_one_record_and_not_those_behind_it() {
    let record = RECORD_HEADER + 120;
    // Each byte of the length of the third record: shorter, longer, longer than the segment, longer than any record.
    for byte in 0..4 {
        let disk = FaultyDisk::default();
        let mut log = open(&disk);
        for number in 0..8u8 {
            log.append(3, 5, &[number; 120]);
        }
        log.commit();
        let name = super::disk::Disk::list(&disk).unwrap().into_iter().find(|n| n.ends_with("seg")).unwrap();
        disk.spoil(&name, SEGMENT_HEADER + 2 * record + byte);
        // While it runs, and after a restart.
        assert_eq!(numbers(&mut log), [1, 2, 4, 5, 6, 7, 8], "{byte}");
        assert_eq!((log.figures().shed[3], log.sheds()[0].count), (1, 1), "{byte}");
        drop(log);
        let mut log = open(&disk);
        assert_eq!(numbers(&mut log), [1, 2, 4, 5, 6, 7, 8], "{byte}");
        assert_eq!(log.figures().corrupt, 1, "{byte}");
    }
}

#[test]
fn records_that_are_spoilt_together_are_counted() {
    let mut segment = format::SegmentHeader { priority: 3, spool: [1; 16], first: 5 }.encode().to_vec();
    for sequence in 5..10 {
        format::encode_record(sequence, 6, &[9; 50], &mut segment);
    }
    for number in [1, 2] {
        segment[SEGMENT_HEADER + number * (RECORD_HEADER + 50) + RECORD_HEADER] ^= 1;
    }
    let scan = format::scan(&segment, 5);
    let sequences: Vec<u64> = scan.records.iter().map(|(record, _)| record.sequence).collect();
    assert_eq!((sequences, scan.bad, scan.tail), (vec![5, 8, 9], 2, 0));
}

#[test]
fn who_asks_how_it_stands_does_not_wait_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let spool = std::sync::Arc::new(Spool::open(dir.path(), Limits::of(1 << 20)).unwrap());
    spool.add_raw(&vedette_proto::v1::Alert { uid: "u".into(), priority: 3, ..Default::default() }, 5);
    spool.commit(true);
    let (busy, is_busy) = std::sync::mpsc::channel();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let at_work = std::sync::Arc::clone(&spool);
    let disk = std::thread::spawn(move || {
        at_work.with(|_| {
            busy.send(()).unwrap();
            // As a disk that takes its time.
            wait.recv().unwrap();
        });
    });
    is_busy.recv().unwrap();
    let (told, figures) = std::sync::mpsc::channel();
    let asking = std::sync::Arc::clone(&spool);
    std::thread::spawn(move || told.send(asking.figures()));
    let figures = figures.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
    done.send(()).unwrap();
    disk.join().unwrap();
    assert_eq!((figures.waiting, figures.committed, figures.arrived), (1, 1, 0));
    spool.acknowledge(1);
    assert_eq!((spool.figures().waiting, spool.figures().arrived), (0, 1));
}

#[test]
fn what_waited_in_a_spool_that_lost_its_name_is_reported() {
    use super::disk::Disk;
    let disk = FaultyDisk::default();
    let mut log = open(&disk);
    for priority in [2, 2, 5] {
        log.append(priority, 5, b"x");
    }
    log.close();
    drop(log);
    disk.fail_after(0, Fault::Broken);
    assert!(
        Log::open(disk.clone(), LIMITS, [8; 16]).is_err(),
        "what cannot be read just now is not made anew"
    );
    assert_eq!(numbers(&mut open(&disk)), [1, 2, 3]);
    disk.remove("state").unwrap();
    let mut log = Log::open(disk, LIMITS, [8; 16]).unwrap();
    assert_eq!((numbers(&mut log), log.figures().shed), (Vec::new(), [0, 0, 2, 0, 0, 1, 0, 0]));
    assert_eq!(log.sheds().len(), 2);
}

#[test]
fn what_is_too_large_is_given_up() {
    let mut log = open(&FaultyDisk::default());
    assert_eq!(log.append(0, 1, &vec![0; format::MAX_PAYLOAD + 1]), Appended::Shed(1));
    assert_eq!(log.append(0, 1, &vec![0; 100_000]), Appended::Shed(2), "larger than the spool");
    assert_eq!(log.sheds()[0].count, 2);
}

#[test]
fn any_bytes_are_parsed_without_harm() {
    let mut good = Vec::new();
    format::encode_record(5, 6, b"payload", &mut good);
    assert!(matches!(format::parse(&good), Parsed::Record(r) if (r.sequence, r.time) == (5, 6)));
    for length in 0..good.len() {
        assert!(matches!(format::parse(&good[..length]), Parsed::End | Parsed::Short(_)));
    }
    proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), first: u64)| {
        let scan = format::scan(&bytes, first);
        proptest::prop_assert!(scan.end + scan.tail <= bytes.len().max(SEGMENT_HEADER));
    });
}

#[test]
fn a_directory_is_one_process_s_alone() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), Limits::of(1 << 20)).unwrap();
    assert!(
        Spool::open(dir.path(), Limits::of(1 << 20)).unwrap_err().to_string().contains("another process")
    );
    let alert = vedette_proto::v1::Alert { uid: "u".into(), priority: 3, ..Default::default() };
    assert!(matches!(spool.add_raw(&alert, 5), Appended::Kept(1)));
    spool.commit(true);
    let id = spool.id().to_owned();
    drop(spool);
    let spool = Spool::open(dir.path(), Limits::of(1 << 20)).unwrap();
    assert_eq!(spool.id(), id);
    let read = spool.read(&mut Cursor::default(), 10, 1000);
    assert_eq!((read[0].uid.as_str(), read[0].sequence, read[0].priority), ("u", 1, 3));
}
