//! From the table of kernel fields to the values of the BPF globals.

use std::collections::HashMap;

use vedette_abi::{ABSENT, KERNEL_FIELDS, KernelField};

use super::{Btf, BtfError};

/// The values of all offset globals for one kernel.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    values: Vec<(&'static str, u32)>,
    missing: Vec<String>,
}

impl Offsets {
    /// Symbol and value of every global.
    pub fn globals(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        self.values.iter().copied()
    }

    /// Value of one global.
    pub fn get(&self, symbol: &str) -> Option<u32> {
        self.values.iter().find(|(s, _)| *s == symbol).map(|(_, v)| *v)
    }

    /// The same with another value for one global: how tests make stale or missing offsets.
    #[must_use]
    pub fn with(mut self, symbol: &str, value: u32) -> Self {
        for entry in self.values.iter_mut().filter(|(s, _)| *s == symbol) {
            entry.1 = value;
        }
        self
    }

    /// Optional fields that this kernel lacks, as sentences.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

/// Resolves every kernel field that the programs read.
///
/// # Errors
/// A required field is missing, ambiguous, or of another size.
pub fn resolve_all(btf: &Btf) -> Result<Offsets, BtfError> {
    let mut offsets = resolve(btf, KERNEL_FIELDS)?;
    if offsets.get("OVL_INODE_VFS") == Some(ABSENT) || offsets.get("OVL_INODE_UPPER") == Some(ABSENT) {
        overlay_module(btf, &mut offsets)?;
    }
    Ok(offsets)
}

/// Where overlayfs is a module, the kernel's own BTF does not know its structures, and the module may be loaded long
/// after the agent. The upper layer's dentry has come right behind the embedded inode for as long as there is an
/// `ovl_inode` (4.13, `fs/overlayfs/ovl_entry.h`), so the inode's size tells where it is.
pub(super) fn overlay_module(btf: &Btf, offsets: &mut Offsets) -> Result<(), BtfError> {
    let inode = btf.struct_size("inode")?.next_multiple_of(8);
    for (symbol, value) in &mut offsets.values {
        match *symbol {
            "OVL_INODE_VFS" => *value = 0,
            "OVL_INODE_UPPER" => *value = inode,
            _ => {}
        }
    }
    offsets.missing.retain(|missing| !missing.contains("ovl_inode"));
    Ok(())
}

pub(super) fn resolve(btf: &Btf, fields: &'static [KernelField]) -> Result<Offsets, BtfError> {
    let structures = btf.structures(fields.iter().map(|f| f.of));
    let mut out = Offsets::default();
    for field in fields {
        match one(btf, field, &structures) {
            Ok(offset) => out.values.push((field.symbol, offset)),
            Err(error) if field.required => return Err(error),
            Err(error) => {
                out.values.push((field.symbol, ABSENT));
                out.missing.push(error.to_string());
            }
        }
    }
    Ok(out)
}

fn one(
    btf: &Btf,
    field: &KernelField,
    structures: &HashMap<&str, Result<u32, BtfError>>,
) -> Result<u32, BtfError> {
    let structure = match structures.get(field.of) {
        Some(Ok(id)) => *id,
        Some(Err(BtfError::Ambiguous(name))) => return Err(BtfError::Ambiguous(name.clone())),
        _ => return Err(BtfError::NoStruct(field.of.to_owned())),
    };
    for path in field.paths {
        let Some(found) = btf.field_in(structure, path)? else { continue };
        let offset = found.byte_offset().ok_or_else(|| BtfError::BitField(format!("{}.{path}", field.of)))?;
        // A long is read as an int where only its low half matters (nanoseconds); never the other way round.
        let narrowed = field.size == 4 && found.size == 8 && path.ends_with("nsec");
        if field.size != 0 && found.size != field.size && !narrowed {
            return Err(BtfError::Size {
                of: field.of.to_owned(),
                path: (*path).to_owned(),
                found: found.size,
                expected: field.size,
            });
        }
        return Ok(offset);
    }
    Err(BtfError::NoField {
        of: field.of.to_owned(),
        paths: field.paths.iter().map(|p| (*p).to_owned()).collect(),
    })
}
