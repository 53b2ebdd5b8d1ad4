//! Numbers and byte strings within a frame: little-endian, strings with their length before them.

/// Writes fields.
pub(super) struct Out<'a>(pub &'a mut Vec<u8>);

impl Out<'_> {
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Nothing is longer than `u32` can say: what is recorded was carried by records or read with a bound.
    pub fn bytes(&mut self, value: &[u8]) {
        let value = &value[..value.len().min(u32::MAX as usize)];
        self.u32(value.len() as u32);
        self.0.extend_from_slice(value);
    }

    pub fn option(&mut self, value: Option<u64>) {
        self.u8(u8::from(value.is_some()));
        self.u64(value.unwrap_or(0));
    }
}

/// Reads fields; `None` where there are not enough bytes. What is left over is from a later version.
pub(super) struct In<'a>(pub &'a [u8]);

impl<'a> In<'a> {
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    pub fn option(&mut self) -> Option<Option<u64>> {
        let (some, value) = (self.u8()?, self.u64()?);
        Some((some != 0).then_some(value))
    }

    pub fn value<T: zerocopy::FromBytes>(&mut self) -> Option<T> {
        T::read_from_bytes(self.take(size_of::<T>())?).ok()
    }
}
