//! Paths that user space resolved, put into the record that asked for them.

use vedette_abi::{Header, Syscall, strings};
use zerocopy::{FromBytes, IntoBytes};

/// Writes a record of [`crate::Body::Syscall`] with what its paths were resolved to into `out`, so that whoever records
/// the stream or decodes it finds them. False, and `out` is of no use, where the bytes are no such record or it has
/// them already.
pub fn put_targets(bytes: &[u8], first: &[u8], second: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let (Ok((mut header, rest)), Ok(first_len), Ok(second_len)) =
        (Header::read_from_prefix(bytes), u16::try_from(first.len()), u16::try_from(second.len()))
    else {
        return false;
    };
    let (Ok((mut call, _)), Some(whole)) =
        (Syscall::read_from_prefix(rest), bytes.get(..header.len as usize))
    else {
        return false;
    };
    let fixed = size_of::<Header>() + size_of::<Syscall>();
    if call.lens[strings::TARGET] != 0 || call.lens[strings::TARGET2] != 0 || whole.len() < fixed {
        return false;
    }
    // They are the last of the strings, in this order.
    call.lens[strings::TARGET] = first_len;
    call.lens[strings::TARGET2] = second_len;
    header.len += u32::from(first_len) + u32::from(second_len);
    for part in [header.as_bytes(), call.as_bytes(), &whole[fixed..], first, second] {
        out.extend_from_slice(part);
    }
    true
}

#[cfg(test)]
mod tests {
    use vedette_abi::Call;

    use super::*;
    use crate::{Body, ProcessKey, decode, testing::RecordBuilder};

    #[test]
    fn a_record_gets_its_targets_once() {
        let key = ProcessKey { tgid: 7, start: 9 };
        let record = RecordBuilder::syscall(key, Call::Rename)
            .string(strings::RAW, "/a")
            .string(strings::RAW2, "b")
            .string(strings::BASE2, "/c")
            .build();
        let mut out = Vec::new();
        assert!(put_targets(&record, b"/x/a", b"/y/b", &mut out));
        let Body::Syscall { strings, .. } = decode(&out).unwrap().body else { panic!() };
        assert_eq!((strings.raw, strings.raw2, strings.base2), (&b"/a"[..], &b"b"[..], &b"/c"[..]));
        assert_eq!((strings.target, strings.target2), (&b"/x/a"[..], &b"/y/b"[..]));
        assert!(!put_targets(&out, b"/x/a", b"", &mut Vec::new()), "twice");
        for cut in [0, 40, 100, record.len() - 1] {
            assert!(!put_targets(&record[..cut], b"/x", b"", &mut out), "cut at {cut}");
        }
    }
}
