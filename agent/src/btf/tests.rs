//! The running kernel's BTF, and made-up and damaged ones.

mod blob;

use blob::{Blob, Member};
use vedette_abi::{ABSENT, KERNEL_FIELDS, KernelField};

use super::{offsets::resolve, *};

/// A structure with everything that can be told apart:
/// `struct thing { int plain; union { int inner; struct { long deep; }; }; u8 low:4, high:4; struct pair pair; int list[3]; const int *ptr; }`
fn thing() -> Blob {
    let mut blob = Blob::new();
    let int = blob.int("int", 4);
    let long = blob.int("long", 8);
    let byte = blob.typedef("u8", int);
    let pair = blob.structure("pair", 16, &[Member::new("a", long, 0), Member::new("b", long, 64)]);
    let deep = blob.structure("", 8, &[Member::new("deep", long, 0)]);
    let either = blob.union("", 8, &[Member::new("inner", int, 0), Member::new("", deep, 0)]);
    let list = blob.array(int, 3);
    let constant = blob.constant(int);
    let pointer = blob.pointer(constant);
    blob.structure_with_bits(
        "thing",
        64,
        &[
            Member::new("plain", int, 0),
            Member::new("", either, 64),
            Member::bits("low", byte, 128, 4),
            Member::bits("high", byte, 132, 4),
            Member::new("pair", pair, 192),
            Member::new("list", list, 320),
            Member::new("ptr", pointer, 448),
        ],
    );
    blob
}

fn parse(blob: &Blob) -> Btf {
    Btf::parse(blob.bytes()).unwrap()
}

fn place(btf: &Btf, path: &str) -> Option<(u32, u32)> {
    btf.field("thing", path).unwrap().map(|f| (f.byte_offset().unwrap(), f.size))
}

#[test]
fn fields_are_found_through_anonymous_members_and_dots() {
    let btf = parse(&thing());
    assert_eq!(place(&btf, "plain"), Some((0, 4)));
    assert_eq!(place(&btf, "inner"), Some((8, 4)));
    assert_eq!(place(&btf, "deep"), Some((8, 8)));
    assert_eq!(place(&btf, "pair"), Some((24, 16)));
    assert_eq!(place(&btf, "pair.b"), Some((32, 8)));
    assert_eq!(place(&btf, "list"), Some((40, 12)));
    assert_eq!(place(&btf, "ptr"), Some((56, 8)));
    for none in ["absent", "pair.c", "plain.x", "", "pair.", ".plain"] {
        assert_eq!(btf.field("thing", none).unwrap(), None, "{none:?}");
    }
    assert_eq!(btf.struct_size("thing").unwrap(), 64);
    assert!(matches!(btf.struct_size("nothing"), Err(BtfError::NoStruct(name)) if name == "nothing"));
}

#[test]
fn bit_fields_have_no_byte_offset() {
    let btf = parse(&thing());
    for (name, offset) in [("low", 128), ("high", 132)] {
        let field = btf.field("thing", name).unwrap().unwrap();
        assert_eq!((field.bit_offset, field.bit_size, field.byte_offset()), (offset, Some(4), None));
    }
}

#[test]
fn two_of_one_name_are_ambiguous() {
    // Whether or not they share the name's place in the strings.
    for share in [true, false] {
        ambiguous(share);
    }
}

fn ambiguous(share: bool) {
    let mut blob = thing();
    blob.share_strings = share;
    let int = blob.int("int", 4);
    blob.structure("pair", 4, &[Member::new("a", int, 0)]);
    let inner = blob.structure("", 4, &[Member::new("x", int, 0)]);
    blob.structure("twice", 8, &[Member::new("x", int, 0), Member::new("", inner, 32)]);
    blob.structure("once", 8, &[Member::new("x", int, 0), Member::new("", inner, 0)]);
    let btf = parse(&blob);
    let error = resolve(&btf, &const { [row("pair", &["a"], 4, true)] }).unwrap_err();
    assert_eq!(error.to_string(), "`pair` is ambiguous in this kernel's BTF");
    assert!(matches!(btf.field("pair", "a"), Err(BtfError::Ambiguous(name)) if name == "pair"));
    assert!(matches!(btf.field("twice", "x"), Err(BtfError::Ambiguous(name)) if name == "x"));
    // One place under one name in several branches of a union is one field.
    assert_eq!(btf.field("once", "x").unwrap().unwrap().byte_offset(), Some(0));
}

const fn row(of: &'static str, paths: &'static [&'static str], size: u32, required: bool) -> KernelField {
    KernelField { symbol: "SYMBOL", of, paths, size, required }
}

/// What one row resolves to: its value and what is said to be missing.
fn one(row: &'static [KernelField]) -> Result<(u32, usize), BtfError> {
    let offsets = resolve(&parse(&thing()), row)?;
    Ok((offsets.get("SYMBOL").unwrap(), offsets.missing().len()))
}

#[test]
fn rows_resolve_or_say_why_not() {
    assert_eq!(one(&const { [row("thing", &["old", "pair.b"], 8, true)] }).unwrap(), (32, 0));
    assert_eq!(
        one(&const { [row("thing", &["list"], 0, true)] }).unwrap(),
        (40, 0),
        "only the address counts"
    );
    assert_eq!(one(&const { [row("thing", &["gone"], 4, false)] }).unwrap(), (ABSENT, 1));
    assert_eq!(one(&const { [row("gone", &["x"], 4, false)] }).unwrap(), (ABSENT, 1));

    let error = one(&const { [row("thing", &["gone", "lost"], 4, true)] }).unwrap_err();
    assert_eq!(error.to_string(), "this kernel's `struct thing` has no field `gone` or `lost`");
    let error = one(&const { [row("gone", &["x"], 4, true)] }).unwrap_err();
    assert_eq!(error.to_string(), "this kernel has no `struct gone`");
    let error = one(&const { [row("thing", &["plain"], 8, true)] }).unwrap_err();
    assert_eq!(error.to_string(), "`thing.plain` has 4 bytes in this kernel, 8 are expected");
    let error = one(&const { [row("thing", &["low"], 4, true)] }).unwrap_err();
    assert_eq!(error.to_string(), "`thing.low` is a bit field in this kernel");
}

#[test]
fn a_stale_table_is_noticed() {
    // The same structure as an older kernel might have had it: another offset is another value, not an error…
    let fields: &'static [KernelField] = &const { [row("s", &["x"], 8, true)] };
    let value = |size, offset| {
        let mut blob = Blob::new();
        let int = blob.int("int", size);
        blob.structure("s", 64, &[Member::new("x", int, offset)]);
        resolve(&parse(&blob), fields).map(|o| o.get("SYMBOL").unwrap())
    };
    assert_eq!((value(8, 0).unwrap(), value(8, 64).unwrap()), (0, 8));
    // … another size is.
    assert!(matches!(value(4, 64), Err(BtfError::Size { found: 4, expected: 8, .. })));
}

#[test]
fn enumerators_and_tracepoints() {
    let mut blob = Blob::new();
    blob.enumeration("cgroup_subsys_id", &[("cpuset_cgrp_id", 0), ("memory_cgrp_id", 4)]);
    let proto = blob.function(3);
    let pointer = blob.pointer(proto);
    blob.typedef("btf_trace_sched_process_exit", pointer);
    blob.typedef("btf_trace_odd", proto);
    let btf = parse(&blob);
    assert_eq!(btf.enumerator("cgroup_subsys_id", "memory_cgrp_id"), Some(4));
    assert_eq!(btf.enumerator("cgroup_subsys_id", "pids_cgrp_id"), None);
    assert_eq!(btf.enumerator("other", "memory_cgrp_id"), None);
    assert_eq!(btf.tracepoint_args("sched_process_exit"), Some(2), "the first is not the program's");
    assert_eq!((btf.tracepoint_args("odd"), btf.tracepoint_args("none")), (None, None));
}

/// Everything that can be asked, of something that may be damaged.
fn ask_everything(btf: &Btf) {
    for path in ["plain", "inner", "deep", "low", "pair.b", "list", "ptr", "gone"] {
        let _ = btf.field("thing", path);
    }
    let _ = btf.struct_size("thing");
    let _ = btf.enumerator("cgroup_subsys_id", "memory_cgrp_id");
    let _ = btf.tracepoint_args("sched_process_exit");
    let _ = resolve_all(btf);
}

#[test]
fn cut_anywhere_it_is_malformed() {
    let bytes = thing().bytes();
    for cut in 0..bytes.len() {
        assert!(matches!(Btf::parse(bytes[..cut].to_vec()), Err(BtfError::Malformed { .. })), "cut at {cut}");
    }
    // Sections that end early, in a file that is whole.
    for word in [12, 20] {
        let whole = u32::from_le_bytes(bytes[word..word + 4].try_into().unwrap());
        for len in 0..whole {
            let mut cut = bytes.clone();
            cut[word..word + 4].copy_from_slice(&len.to_le_bytes());
            if let Ok(btf) = Btf::parse(cut) {
                ask_everything(&btf);
            }
        }
    }
}

#[test]
fn any_flipped_bit_is_harmless() {
    let bytes = thing().bytes();
    let mut refused = 0;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            match Btf::parse(flipped) {
                Ok(btf) => ask_everything(&btf),
                Err(BtfError::Malformed { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn loops_end() {
    let mut blob = Blob::new();
    // Each holds the other, anonymously and many times over; a typedef of itself.
    let members: Vec<Member> = (0..200).map(|n| Member::new("", 1 + n % 2, n * 8)).collect();
    blob.structure("thing", 8, &members);
    blob.structure("", 8, &members);
    blob.typedef("own", 3);
    blob.structure("holds", 8, &[Member::new("x", 3, 0)]);
    blob.array(5, u32::MAX);
    blob.structure("endless", 8, &[Member::new("x", 5, 0)]);
    let btf = parse(&blob);
    assert!(btf.field("thing", "x").is_err(), "there is no end of it");
    assert_eq!(btf.field("holds", "x").unwrap().unwrap().size, 0);
    assert_eq!(btf.field("endless", "x").unwrap().unwrap().size, 0);
}

#[test]
fn offsets_do_not_wrap() {
    let mut blob = Blob::new();
    let int = blob.int("int", 4);
    let inner = blob.structure("inner", 8, &[Member::new("x", int, u32::MAX - 7)]);
    let hidden = blob.structure("", 8, &[Member::new("y", int, u32::MAX - 7)]);
    blob.structure("outer", 8, &[Member::new("i", inner, u32::MAX - 7), Member::new("", hidden, 64)]);
    let btf = parse(&blob);
    assert!(matches!(btf.field("outer", "i.x"), Err(BtfError::Malformed { .. })));
    assert_eq!(btf.field("outer", "y").unwrap(), None);
}

#[test]
fn what_is_not_btf() {
    for bytes in [&b""[..], b"\x9f", b"\xeb\x9f\x01\x00", b"\x7fELF", &[0x9f; 40]] {
        let error = Btf::parse(bytes.to_vec()).err().unwrap();
        assert!(error.to_string().starts_with("malformed BTF at byte "), "{error}");
    }
}

#[test]
fn every_field_is_found_in_this_kernel() {
    let btf = Btf::of_kernel().unwrap();
    let offsets = resolve_all(&btf).unwrap();
    assert_eq!(offsets.globals().count(), KERNEL_FIELDS.len());
    for field in KERNEL_FIELDS {
        let value = offsets.get(field.symbol).unwrap();
        assert!(value != ABSENT || !field.required, "{}", field.symbol);
        let end = value.checked_add(field.size);
        assert!(value == ABSENT || end.unwrap() <= btf.struct_size(field.of).unwrap(), "{}", field.symbol);
    }
    let absent = offsets.globals().filter(|(_, v)| *v == ABSENT).count();
    assert_eq!(absent, offsets.missing().len());
    eprintln!("missing in this kernel: {:?}", offsets.missing());
    assert_eq!(offsets.get("NO_SUCH_SYMBOL"), None);
    assert!(btf.tracepoint_args("sched_process_fork").is_some_and(|args| args >= 2));
    assert_eq!(btf.tracepoint_args("sched_process_frok"), None);
}

#[test]
fn a_damaged_kernel_btf_is_harmless() {
    let whole = std::fs::read(KERNEL_BTF).unwrap();
    let word = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    for part in 1..8 {
        assert!(Btf::parse(whole[..whole.len() * part / 8].to_vec()).is_err());
    }
    // A type section that ends at a random place, and bytes changed all over: always the same ones.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % below
    };
    for round in 0..4 {
        let mut damaged = whole.clone();
        if round % 2 == 0 {
            damaged[12..16].copy_from_slice(&(next(word(12)) as u32).to_le_bytes());
        }
        for _ in 0..20 {
            let at = 24 + next(damaged.len() - 24);
            damaged[at] = next(256) as u8;
        }
        if let Ok(btf) = Btf::parse(damaged) {
            ask_everything(&btf);
        }
    }
}

#[test]
fn the_upper_layer_is_found_where_overlayfs_is_a_module() {
    let btf = Btf::of_kernel().unwrap();
    let known = resolve(&btf, KERNEL_FIELDS).unwrap();
    let mut guessed = known.clone().with("OVL_INODE_VFS", ABSENT).with("OVL_INODE_UPPER", ABSENT);
    offsets::overlay_module(&btf, &mut guessed).unwrap();
    let distance = |of: &Offsets| of.get("OVL_INODE_UPPER").unwrap() - of.get("OVL_INODE_VFS").unwrap();
    assert_eq!(distance(&guessed), btf.struct_size("inode").unwrap().next_multiple_of(8));
    if known.get("OVL_INODE_VFS") != Some(ABSENT) {
        assert_eq!(distance(&guessed), distance(&known), "as this kernel itself says");
    }
}
