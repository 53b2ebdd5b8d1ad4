//! The type section: kinds, members, and the search for a field through anonymous members.

use std::collections::HashMap;

use super::BtfError;

const MAGIC: u16 = 0xeb9f;

/// Kinds of types (`BTF_KIND_*` of `include/uapi/linux/btf.h`).
mod kind {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const FLOAT: u32 = 16;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// Deepest nesting of typedefs and anonymous members that is followed; a loop in broken data ends here.
const DEPTH: u32 = 32;

/// Most members that one search looks at: more than any structure of a kernel has, anonymous members included.
const MEMBERS: u32 = 65_536;

/// Where a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bits from the begin of the structure.
    pub bit_offset: u32,
    /// Bits, where it is a bit field.
    pub bit_size: Option<u32>,
    /// Bytes of its type; 0 for a flexible array.
    pub size: u32,
    /// Its type.
    type_id: u32,
}

impl Field {
    /// Bytes from the begin of the structure; `None` for a bit field.
    pub fn byte_offset(&self) -> Option<u32> {
        (self.bit_size.is_none() && self.bit_offset.is_multiple_of(8)).then_some(self.bit_offset / 8)
    }
}

/// A search for the members of one name.
struct Search<'n> {
    name: &'n [u8],
    /// Members that may still be looked at: broken data could hold itself many times over.
    budget: u32,
    hits: Vec<Field>,
}

/// One type as the index finds it.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    vlen: u32,
    flag: bool,
    /// Size in bytes, or the type referred to.
    size_or_type: u32,
    /// Where what follows the common part begins.
    rest: usize,
}

/// An indexed BTF blob.
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    strings_end: usize,
    /// Byte offset of each type; entry 0 stands for `void`.
    index: Vec<u32>,
    /// Structures and unions by name; `None` where two have the same name.
    structs: HashMap<u32, Option<u32>>,
}

impl Btf {
    /// Reads and indexes the running kernel's BTF.
    ///
    /// # Errors
    /// The kernel has none, or it is malformed.
    pub fn of_kernel() -> Result<Self, BtfError> {
        let path = super::KERNEL_BTF;
        let data = std::fs::read(path).map_err(|error| BtfError::Read { path: path.into(), error })?;
        Self::parse(data)
    }

    /// Indexes a BTF blob.
    ///
    /// # Errors
    /// It is cut or malformed.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let bad = |at, what| BtfError::Malformed { at, what };
        if data.get(..2) != Some(&MAGIC.to_le_bytes()) {
            return Err(bad(0, "the magic number 0xeb9f in little-endian order"));
        }
        let word = |at: usize| read_u32(&data, at).ok_or(bad(at, "a header field"));
        let header = word(4)? as usize;
        let (type_off, type_len, str_off, str_len) =
            (word(8)? as usize, word(12)? as usize, word(16)? as usize, word(20)? as usize);
        let section = |off: usize, len: usize| {
            let start = header.checked_add(off)?;
            let end = start.checked_add(len)?;
            (end <= data.len()).then_some((start, end))
        };
        let (types, types_end) =
            section(type_off, type_len).ok_or(bad(8, "a type section inside the file"))?;
        let (strings, strings_end) =
            section(str_off, str_len).ok_or(bad(16, "a string section inside the file"))?;

        let mut btf = Self { strings, strings_end, index: vec![0], structs: HashMap::new(), data };
        let mut at = types;
        while at < types_end {
            let ty = btf.type_at(at).ok_or(bad(at, "a type"))?;
            let extra = match ty.kind {
                kind::INT | kind::VAR | kind::DECL_TAG => 4,
                kind::ARRAY => 12,
                kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => ty.vlen as usize * 12,
                kind::ENUM | kind::FUNC_PROTO => ty.vlen as usize * 8,
                0 => return Err(bad(at, "a kind of type other than void")),
                k if k <= kind::ENUM64 => 0,
                _ => return Err(bad(at, "a known kind of type")),
            };
            let id = u32::try_from(btf.index.len()).map_err(|_| bad(at, "fewer types"))?;
            btf.index.push(u32::try_from(at).map_err(|_| bad(at, "a file below 4 GiB"))?);
            if matches!(ty.kind, kind::STRUCT | kind::UNION) && ty.name != 0 {
                btf.structs.entry(ty.name).and_modify(|seen| *seen = None).or_insert(Some(id));
            }
            at = ty.rest + extra;
            if at > types_end {
                return Err(bad(at, "the end of the type section"));
            }
        }
        Ok(btf)
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let info = read_u32(&self.data, at + 4)?;
        Some(Type {
            name: read_u32(&self.data, at)?,
            kind: info >> 24 & 0x1f,
            vlen: info & 0xffff,
            flag: info >> 31 != 0,
            size_or_type: read_u32(&self.data, at + 8)?,
            rest: at + 12,
        })
    }

    fn ty(&self, id: u32) -> Option<Type> {
        if id == 0 {
            return None;
        }
        self.type_at(*self.index.get(id as usize)? as usize)
    }

    fn name(&self, offset: u32) -> &[u8] {
        let start = self.strings.saturating_add(offset as usize).min(self.strings_end);
        let rest = &self.data[start..self.strings_end];
        &rest[..rest.iter().position(|b| *b == 0).unwrap_or(rest.len())]
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<(u32, Type)> {
        for _ in 0..DEPTH {
            let ty = self.ty(id)?;
            match ty.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = ty.size_or_type;
                }
                _ => return Some((id, ty)),
            }
        }
        None
    }

    fn size_of(&self, id: u32, depth: u32) -> Option<u32> {
        let (_, ty) = self.resolve(id)?;
        match ty.kind {
            kind::PTR => Some(8),
            kind::ARRAY if depth > 0 => {
                let count = read_u32(&self.data, ty.rest + 8)?;
                self.size_of(read_u32(&self.data, ty.rest)?, depth - 1)?.checked_mul(count)
            }
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::FLOAT => {
                Some(ty.size_or_type)
            }
            _ => None,
        }
    }

    /// A structure or union by name.
    fn structure(&self, name: &str) -> Result<u32, BtfError> {
        let mut found = None;
        for (offset, id) in &self.structs {
            if self.name(*offset) == name.as_bytes() {
                // A name may stand in the strings twice.
                if found.is_some() {
                    return Err(BtfError::Ambiguous(name.to_owned()));
                }
                found = Some(id.ok_or_else(|| BtfError::Ambiguous(name.to_owned()))?);
            }
        }
        found.ok_or_else(|| BtfError::NoStruct(name.to_owned()))
    }

    /// All named structures at once, for callers that look up many: name → type.
    pub(super) fn structures<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> HashMap<&'n str, Result<u32, BtfError>> {
        let mut out: HashMap<&str, Result<u32, BtfError>> =
            names.map(|n| (n, Err(BtfError::NoStruct(n.to_owned())))).collect();
        for (offset, id) in &self.structs {
            let Ok(name) = std::str::from_utf8(self.name(*offset)) else { continue };
            if let Some((name, slot)) = out.get_key_value(name).map(|(k, _)| *k).zip(out.get_mut(name)) {
                *slot = match (&*slot, id) {
                    (Err(BtfError::NoStruct(_)), Some(id)) => Ok(*id),
                    _ => Err(BtfError::Ambiguous(name.to_owned())),
                };
            }
        }
        out
    }

    /// Bytes of a structure.
    ///
    /// # Errors
    /// There is none of that name, or more than one.
    pub fn struct_size(&self, name: &str) -> Result<u32, BtfError> {
        let id = self.structure(name)?;
        self.ty(id).map(|t| t.size_or_type).ok_or_else(|| BtfError::NoStruct(name.to_owned()))
    }

    /// Finds `path` (dotted) in the structure called `of`; `Ok(None)` where the structure has no such field.
    ///
    /// # Errors
    /// The structure is missing or ambiguous, or two members of it answer to the name.
    pub fn field(&self, of: &str, path: &str) -> Result<Option<Field>, BtfError> {
        self.field_in(self.structure(of)?, path)
    }

    pub(super) fn field_in(&self, structure: u32, path: &str) -> Result<Option<Field>, BtfError> {
        let mut at = Field { bit_offset: 0, bit_size: None, size: 0, type_id: structure };
        for name in path.split('.') {
            let mut search = Search { name: name.as_bytes(), budget: MEMBERS, hits: Vec::new() };
            self.members(at.type_id, 0, DEPTH, &mut search);
            if search.budget == 0 {
                return Err(BtfError::Malformed { at: self.strings, what: "structures that end" });
            }
            let mut hits = search.hits;
            // The same place under one name in several branches of a union is one field.
            hits.dedup();
            let hit = match hits.as_slice() {
                [] => return Ok(None),
                [hit] => *hit,
                _ => return Err(BtfError::Ambiguous(path.to_owned())),
            };
            let bit_offset = at
                .bit_offset
                .checked_add(hit.bit_offset)
                .ok_or(BtfError::Malformed { at: self.strings, what: "members inside their structures" })?;
            at = Field { bit_offset, ..hit };
        }
        Ok(Some(at))
    }

    /// Collects the members that have the name, anonymous members searched through.
    fn members(&self, id: u32, base: u32, depth: u32, search: &mut Search<'_>) {
        let Some((_, ty)) = self.resolve(id) else { return };
        if depth == 0 || !matches!(ty.kind, kind::STRUCT | kind::UNION) {
            return;
        }
        for m in 0..ty.vlen as usize {
            search.budget = search.budget.saturating_sub(1);
            if search.budget == 0 {
                return;
            }
            let at = ty.rest + m * 12;
            let (Some(n), Some(t), Some(o)) =
                (read_u32(&self.data, at), read_u32(&self.data, at + 4), read_u32(&self.data, at + 8))
            else {
                return;
            };
            let (bits, bit_size) = if ty.flag { (o & 0xff_ffff, o >> 24) } else { (o, 0) };
            let Some(bits) = base.checked_add(bits) else { continue };
            if n == 0 || self.name(n).is_empty() {
                self.members(t, bits, depth - 1, search);
            } else if self.name(n) == search.name {
                search.hits.push(Field {
                    bit_offset: bits,
                    bit_size: (bit_size != 0).then_some(bit_size),
                    size: self.size_of(t, DEPTH).unwrap_or(0),
                    type_id: t,
                });
            }
        }
    }

    /// The value of an enumerator, e.g. `cgroup_subsys_id`, `memory_cgrp_id`.
    pub fn enumerator(&self, of: &str, name: &str) -> Option<u32> {
        self.types(kind::ENUM).filter(|t| self.name(t.name) == of.as_bytes()).find_map(|ty| {
            (0..ty.vlen as usize).find_map(|i| {
                let at = ty.rest + i * 8;
                let matches = self.name(read_u32(&self.data, at)?) == name.as_bytes();
                if matches { read_u32(&self.data, at + 4) } else { None }
            })
        })
    }

    /// Number of arguments of a tracepoint as BPF programs see them; `None` where the kernel has no such
    /// tracepoint. The kernel describes each as `typedef void (*btf_trace_NAME)(void *, …)`.
    pub fn tracepoint_args(&self, name: &str) -> Option<u32> {
        let wanted = format!("btf_trace_{name}");
        let ty = self.types(kind::TYPEDEF).find(|t| self.name(t.name) == wanted.as_bytes())?;
        let (_, ptr) = self.resolve(ty.size_or_type)?;
        let (_, proto) = self.resolve(ptr.size_or_type)?;
        (ptr.kind == kind::PTR && proto.kind == kind::FUNC_PROTO).then(|| proto.vlen.saturating_sub(1))
    }

    fn types(&self, kind: u32) -> impl Iterator<Item = Type> + '_ {
        self.index.iter().skip(1).filter_map(|at| self.type_at(*at as usize)).filter(move |t| t.kind == kind)
    }
}

fn read_u32(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}
