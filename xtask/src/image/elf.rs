//! Whether a program needs a loader.

use anyhow::{Result, bail};

/// Type of a program header that names the loader.
const PT_INTERP: u32 = 3;

/// The loader that a 64-bit little-endian ELF program asks for; none, if it is static.
///
/// # Errors
/// It is no such program.
pub fn loader(program: &[u8]) -> Result<Option<String>> {
    if program.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("this is no 64-bit little-endian ELF program");
    }
    let (Some(offset), Some(size), Some(count)) =
        (u64_at(program, 32), u16_at(program, 54), u16_at(program, 56))
    else {
        bail!("the ELF header is cut off");
    };
    for index in 0..usize::from(count) {
        let header = usize::try_from(offset)? + index * usize::from(size);
        let Some(kind) = bytes(program, header).map(u32::from_le_bytes) else {
            bail!("a program header is cut off")
        };
        if kind == PT_INTERP {
            let start = u64_at(program, header + 8).unwrap_or_default() as usize;
            let length = u64_at(program, header + 32).unwrap_or_default() as usize;
            let text = program.get(start..start.saturating_add(length)).unwrap_or_default();
            return Ok(Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned()));
        }
    }
    Ok(None)
}

fn bytes<const N: usize>(program: &[u8], at: usize) -> Option<[u8; N]> {
    program.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u64_at(program: &[u8], at: usize) -> Option<u64> {
    bytes(program, at).map(u64::from_le_bytes)
}

fn u16_at(program: &[u8], at: usize) -> Option<u16> {
    bytes(program, at).map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_loader_is_told_from_one_without() {
        // This test itself is an ordinary program.
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(loader(&own).unwrap().is_some_and(|loader| loader.contains("ld")));
        let mut without = own.clone();
        // No program headers at all.
        without[56..58].fill(0);
        assert_eq!(loader(&without).unwrap(), None);
        assert!(loader(b"#!/bin/sh\n").is_err());
        assert!(loader(&own[..60]).is_err());
    }
}
