//! Makes BTF blobs, type by type. Each maker returns the id of its type; ids count from 1.

/// A member of a structure or union.
pub struct Member {
    name: &'static str,
    ty: u32,
    bit_offset: u32,
    bit_size: u32,
}

impl Member {
    /// An ordinary member; an empty name makes it anonymous.
    pub fn new(name: &'static str, ty: u32, bit_offset: u32) -> Self {
        Self { name, ty, bit_offset, bit_size: 0 }
    }

    /// A bit field.
    pub fn bits(name: &'static str, ty: u32, bit_offset: u32, bit_size: u32) -> Self {
        Self { name, ty, bit_offset, bit_size }
    }
}

/// A blob in the making.
pub struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
    /// Whether equal names share one place, as they do in the kernel's.
    pub share_strings: bool,
}

impl Blob {
    pub fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], count: 0, share_strings: true }
    }

    /// The whole blob, header first.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            out.extend(u32::to_le_bytes(word));
        }
        out.extend(&self.types);
        out.extend(&self.strings);
        out
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let with_ends = [b"\0", name.as_bytes(), b"\0"].concat();
        let known = self.strings.windows(with_ends.len()).position(|w| w == with_ends);
        if let Some(known) = known.filter(|_| self.share_strings) {
            return known as u32 + 1;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        offset
    }

    fn add(
        &mut self,
        name: &str,
        kind: u32,
        flag: bool,
        vlen: usize,
        size_or_type: u32,
        more: &[u32],
    ) -> u32 {
        let name = self.name(name);
        let info = u32::from(flag) << 31 | kind << 24 | vlen as u32;
        for word in [name, info, size_or_type].iter().chain(more) {
            self.types.extend(word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }

    pub fn int(&mut self, name: &str, size: u32) -> u32 {
        self.add(name, 1, false, 0, size, &[size * 8])
    }

    pub fn pointer(&mut self, to: u32) -> u32 {
        self.add("", 2, false, 0, to, &[])
    }

    pub fn array(&mut self, of: u32, count: u32) -> u32 {
        self.add("", 3, false, 0, 0, &[of, of, count])
    }

    pub fn structure(&mut self, name: &str, size: u32, members: &[Member]) -> u32 {
        self.composite(name, 4, false, size, members)
    }

    /// A structure whose member offsets carry bit sizes (`kind_flag`).
    pub fn structure_with_bits(&mut self, name: &str, size: u32, members: &[Member]) -> u32 {
        self.composite(name, 4, true, size, members)
    }

    pub fn union(&mut self, name: &str, size: u32, members: &[Member]) -> u32 {
        self.composite(name, 5, false, size, members)
    }

    fn composite(&mut self, name: &str, kind: u32, flag: bool, size: u32, members: &[Member]) -> u32 {
        let mut more = Vec::new();
        for member in members {
            let offset = if flag { member.bit_size << 24 | member.bit_offset } else { member.bit_offset };
            more.extend([self.name(member.name), member.ty, offset]);
        }
        self.add(name, kind, flag, members.len(), size, &more)
    }

    pub fn enumeration(&mut self, name: &str, values: &[(&str, u32)]) -> u32 {
        let mut more = Vec::new();
        for (name, value) in values {
            more.extend([self.name(name), *value]);
        }
        self.add(name, 6, false, values.len(), 4, &more)
    }

    pub fn typedef(&mut self, name: &str, of: u32) -> u32 {
        self.add(name, 8, false, 0, of, &[])
    }

    pub fn constant(&mut self, of: u32) -> u32 {
        self.add("", 10, false, 0, of, &[])
    }

    /// A function type with this many parameters, all of them `void`.
    pub fn function(&mut self, parameters: usize) -> u32 {
        self.add("", 13, false, parameters, 0, &vec![0; parameters * 2])
    }
}
