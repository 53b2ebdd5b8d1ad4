//! `memory`: memory that becomes executable, and files that are memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/sensor.rs"]
mod sensor;

use calls::{perl, seen};
use harness::may_load_bpf;
use sensor::record;
use vedette_abi::Call;
use vedette_event::Body;

#[test]
fn a_memory_file_has_a_name_and_flags() {
    if !may_load_bpf("memory") {
        return;
    }
    let mut ran = None;
    let records = record(&["memfd_create"], || {
        ran = Some(perl(
            "$n = 'vedette-memory'; $r = call(319, $n, 3); print readlink(\"/proc/self/fd/$r\")",
            &[],
        ));
    });
    let ran = ran.unwrap();
    let seen = seen(&records, ran.pid, Call::MemfdCreate);
    assert_eq!(
        seen.args(),
        format!("fd={} name=vedette-memory flags=MFD_CLOEXEC|MFD_ALLOW_SEALING", ran.returned())
    );
    let link = ran.out.lines().nth(1).unwrap();
    assert_eq!(link, format!("{} (deleted)", String::from_utf8_lossy(seen.strings.path)));
}

#[test]
fn only_what_becomes_executable_is_reported() {
    if !may_load_bpf("memory") {
        return;
    }
    let file = std::fs::canonicalize("/bin/true").unwrap();
    let file = file.to_str().unwrap();
    let script = r#"
        syscall(9, 0, 4096, 1, 0x22, -1, 0);
        $a = call(9, 0, 8192, 7, 0x22, -1, 0);
        syscall(10, $a, 4096, 3);
        call(10, $a, 4096, 5);
        call(329, $a, 4096, 4, -1);
    "#;
    let of_file = "open(F, '<', $ARGV[0]) or die; call(9, 0, 4096, 5, 2, fileno(F), 4096)";
    let (mut anonymous, mut mapped) = (None, None);
    let records = record(&["mmap", "mprotect", "pkey_mprotect"], || {
        anonymous = Some(perl(script, &[]));
        mapped = Some(perl(of_file, &[file]));
    });
    let ran = anonymous.unwrap();
    // The loader of the program and its libraries maps executable memory, too.
    let address = ran.returned();
    let args = |call: Call, pid: u32, picks: &dyn Fn(&vedette_abi::Syscall) -> bool| {
        let record = records.one(|r| {
            r.header.tgid == pid
                && r.call == Some(call)
                && matches!(&r.body, Body::Syscall { facts, .. } if picks(facts))
        });
        calls::args(&record)
    };
    assert_eq!(
        args(Call::Mmap, ran.pid, &|c| c.ret == address),
        format!(
            "res=0x{address:x} addr=0x0 length=8192 prot=PROT_READ|PROT_WRITE|PROT_EXEC \
             flags=MAP_PRIVATE|MAP_ANONYMOUS fd=-1 offset=0"
        )
    );
    assert_eq!(
        args(Call::Mprotect, ran.pid, &|c| c.args[0] == address as u64),
        format!("res=0 addr=0x{address:x} length=4096 prot=PROT_READ|PROT_EXEC")
    );
    let seen = seen(&records, ran.pid, Call::PkeyMprotect);
    let result = seen.args();
    assert!(result.ends_with(&format!("addr=0x{address:x} length=4096 prot=PROT_EXEC pkey=-1")), "{result}");
    let of_file = mapped.unwrap();
    assert_eq!(
        args(Call::Mmap, of_file.pid, &|c| c.ret == of_file.returned()),
        format!(
            "res=0x{:x} addr=0x0 length=4096 prot=PROT_READ|PROT_EXEC flags=MAP_PRIVATE fd=3 offset=4096 path={file}",
            of_file.returned()
        )
    );
    for record in records.iter().filter(|r| r.header.tgid == ran.pid) {
        if let Body::Syscall { facts, .. } = record.body {
            assert_ne!(facts.args[2] & 4, 0, "{facts:?}");
        }
    }
}
