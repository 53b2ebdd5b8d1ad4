//! Sets of networks and addresses.

use std::net::IpAddr;

use rustc_hash::FxHashSet;

/// Networks, by the length of their prefixes.
#[derive(Debug)]
pub(crate) struct Networks {
    v4: Family<u32>,
    v6: Family<u128>,
}

#[derive(Debug)]
struct Family<T> {
    /// For each prefix length that occurs: the mask, and the networks of that length.
    prefixes: Vec<(T, FxHashSet<T>)>,
}

fn mask_v4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

fn mask_v6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

impl<T: Copy + Eq + std::hash::Hash + std::ops::BitAnd<Output = T>> Family<T> {
    fn insert(&mut self, mask: T, address: T) {
        let index = self.prefixes.iter().position(|(m, _)| *m == mask).unwrap_or_else(|| {
            self.prefixes.push((mask, FxHashSet::default()));
            self.prefixes.len() - 1
        });
        self.prefixes[index].1.insert(address & mask);
    }

    fn contains(&self, address: T) -> bool {
        self.prefixes.iter().any(|(mask, networks)| networks.contains(&(address & *mask)))
    }
}

impl Networks {
    pub fn new(networks: &[(IpAddr, u8)]) -> Self {
        let mut set = Self { v4: Family { prefixes: Vec::new() }, v6: Family { prefixes: Vec::new() } };
        for (address, bits) in networks {
            match (address, address.to_canonical()) {
                (IpAddr::V6(_), IpAddr::V4(mapped)) if *bits >= 96 => {
                    set.v4.insert(mask_v4(bits - 96), mapped.into())
                }
                (IpAddr::V4(address), _) => set.v4.insert(mask_v4(*bits), (*address).into()),
                (IpAddr::V6(address), _) => set.v6.insert(mask_v6(*bits), (*address).into()),
            }
        }
        set
    }

    /// Whether the address lies in one of the networks; an IPv4 address in IPv6 clothing counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.into()),
            IpAddr::V6(address) => self.v6.contains(address.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containment() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let set = Networks::new(&[
            (parse("10.0.0.1"), 8),
            (parse("1.2.3.4"), 32),
            (parse("fd00::"), 8),
            (parse("::ffff:9.9.9.9"), 128),
        ]);
        for inside in ["10.255.0.1", "1.2.3.4", "fd12::1", "::ffff:10.1.1.1", "9.9.9.9"] {
            assert!(set.contains(parse(inside)), "{inside}");
        }
        for outside in ["11.0.0.1", "1.2.3.5", "fe80::1", "::1"] {
            assert!(!set.contains(parse(outside)), "{outside}");
        }
        assert!(Networks::new(&[(parse("0.0.0.0"), 0)]).contains(parse("8.8.8.8")));
    }
}
