//! Tests in the form in which they are run.

use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Slots;
use super::net::Networks;
use super::text::TextMatcher;
use crate::check::{Atom, NumberOp, Test, TextOp};
use crate::field::{FieldName, FieldType, Multiplicity};
use crate::term::Term;
use crate::value::Value;

/// A test on the values of a slot.
#[derive(Debug)]
pub(crate) struct TestSpec {
    /// What is read.
    pub term: Term,
    /// Where its values are.
    pub slot: u32,
    /// The value must fail.
    pub negated: bool,
    /// All values must pass, not just one.
    pub every: bool,
    pub matcher: Matcher,
    pub cost: u32,
}

/// How a value is tested.
#[derive(Debug)]
pub(crate) enum Matcher {
    Exists,
    Bool(bool),
    Number(NumberOp, i128),
    Float(NumberOp, f64),
    NumberIn(Box<[i128]>),
    Text(TextMatcher),
    Regex(Box<[Arc<regex::bytes::Regex>]>),
    Net(Networks),
    Host { hosts: Box<[String]>, address: u32 },
    NumberField(NumberOp, u32),
    TextField(TextOp, u32),
    InField(u32),
}

/// The tests so far, by their text.
#[derive(Debug, Default)]
pub(crate) struct Tests {
    specs: Vec<TestSpec>,
    by_text: FxHashMap<String, u32>,
}

impl Tests {
    pub fn of(&mut self, atom: &Atom, slots: &mut Slots) -> u32 {
        if let Some(test) = self.by_text.get(&atom.text) {
            return *test;
        }
        let matcher = matcher(atom, slots);
        let every = match atom.many {
            Multiplicity::List => atom.every || atom.negated,
            Multiplicity::BothEnds => atom.negated,
            Multiplicity::One | Multiplicity::Ancestors => false,
        };
        self.specs.push(TestSpec {
            slot: slots.of(&atom.term),
            negated: atom.negated,
            every,
            cost: atom.term.cost() * 8 + matcher.cost(),
            matcher,
            term: atom.term.clone(),
        });
        let number = (self.specs.len() - 1) as u32;
        self.by_text.insert(atom.text.clone(), number);
        number
    }

    pub fn into_specs(self) -> Vec<TestSpec> {
        self.specs
    }
}

fn matcher(atom: &Atom, slots: &mut Slots) -> Matcher {
    match &atom.test {
        Test::Exists => Matcher::Exists,
        Test::Bool(value) => Matcher::Bool(*value),
        Test::Number(op, fraction, whole) => match atom.term.value_type() {
            FieldType::Float => Matcher::Float(*op, *fraction),
            _ => Matcher::Number(*op, *whole),
        },
        Test::NumberIn(values) => {
            let mut values = values.clone();
            values.sort_unstable();
            Matcher::NumberIn(values.into())
        }
        Test::Text(op, values) => Matcher::Text(TextMatcher::new(*op, values)),
        Test::Regex(patterns, _) => Matcher::Regex(patterns.clone().into()),
        Test::Net(networks) => Matcher::Net(Networks::new(networks)),
        Test::Host(hosts) => {
            let address = match &atom.term {
                Term::Field(field) => field.id.info().address_of_name(),
                Term::Call { .. } => None,
            };
            let address = address.map_or_else(|| atom.term.clone(), |id| Term::Field(FieldName::plain(id)));
            Matcher::Host { hosts: hosts.clone().into(), address: slots.of(&address) }
        }
        Test::NumberField(op, right) => Matcher::NumberField(*op, slots.of(right)),
        Test::TextField(op, right) => Matcher::TextField(*op, slots.of(right)),
        Test::InField(right) => Matcher::InField(slots.of(right)),
    }
}

impl Matcher {
    /// The slot that the test's own is compared with, if it is compared with another.
    pub fn other_slot(&self) -> Option<u32> {
        match self {
            Self::Host { address: slot, .. }
            | Self::NumberField(_, slot)
            | Self::TextField(_, slot)
            | Self::InField(slot) => Some(*slot),
            _ => None,
        }
    }

    fn cost(&self) -> u32 {
        match self {
            Self::Exists | Self::Bool(_) | Self::Number(..) | Self::Float(..) => 1,
            Self::NumberIn(_) | Self::Net(_) | Self::NumberField(..) => 3,
            Self::Text(text) => text.cost(),
            Self::TextField(..) | Self::InField(_) => 8,
            Self::Host { .. } => 20,
            Self::Regex(patterns) => 60 * patterns.len() as u32,
        }
    }

    /// Whether a single value passes. Tests that need other slots or the resolver are not decided here.
    #[inline]
    pub fn passes(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Exists => !value.is_absent(),
            Self::Bool(wanted) => *value == Value::Bool(*wanted),
            Self::Number(op, number) => value.as_whole().is_some_and(|v| op.holds(v.cmp(number))),
            Self::Float(op, number) => {
                value.as_f64().and_then(|v| v.partial_cmp(number)).is_some_and(|o| op.holds(o))
            }
            Self::NumberIn(numbers) => value.as_whole().is_some_and(|v| numbers.binary_search(&v).is_ok()),
            Self::Text(text) => value.as_bytes().is_some_and(|v| text.matches(v)),
            Self::Regex(patterns) => value.as_bytes().is_some_and(|v| patterns.iter().any(|p| p.is_match(v))),
            Self::Net(networks) => matches!(value, Value::Ip(ip) if networks.contains(*ip)),
            Self::Host { .. } | Self::NumberField(..) | Self::TextField(..) | Self::InField(_) => false,
        }
    }

    /// Whether a value passes a test against the values of another slot.
    pub fn passes_against(&self, value: &Value<'_>, others: &[Value<'_>]) -> bool {
        others.iter().any(|other| match self {
            Self::NumberField(op, _) => value.compare(other).is_some_and(|o| op.holds(o)),
            Self::TextField(TextOp::Equal, _) | Self::InField(_) => {
                value.compare(other).is_some_and(|o| o.is_eq())
            }
            Self::TextField(op, _) => match (value.as_bytes(), other.as_bytes()) {
                (Some(value), Some(other)) => TextMatcher::matches_once(*op, value, other),
                _ => false,
            },
            _ => false,
        })
    }
}

impl TestSpec {
    /// The chance that the test holds, as a guess to put tests in a good order.
    pub fn chance(&self) -> f32 {
        let passes = match &self.matcher {
            Matcher::Exists => 0.8,
            Matcher::Bool(_) => 0.4,
            Matcher::Number(NumberOp::Eq, _) | Matcher::Float(NumberOp::Eq, _) => 0.2,
            Matcher::Number(..) | Matcher::Float(..) | Matcher::NumberField(..) => 0.6,
            Matcher::NumberIn(_) | Matcher::Net(_) | Matcher::InField(_) => 0.2,
            Matcher::Text(text) => text.chance(),
            Matcher::Regex(_) | Matcher::TextField(..) => 0.1,
            Matcher::Host { .. } => 0.05,
        };
        if self.negated { 1.0 - passes } else { passes }
    }

    /// Whether the values of the slot pass, for tests that need nothing else.
    #[inline]
    pub fn holds(&self, values: &[Value<'_>]) -> bool {
        self.holds_with(values, |value| self.matcher.passes(value))
    }

    /// Whether the values pass, where `passes` says so of one: without a value, no.
    #[inline]
    pub fn holds_with<'v>(&self, values: &'v [Value<'v>], passes: impl Fn(&'v Value<'v>) -> bool) -> bool {
        if self.every {
            !values.is_empty() && values.iter().all(|v| passes(v) != self.negated)
        } else {
            values.iter().any(|v| passes(v) != self.negated)
        }
    }

    /// Whether one of the hosts has one of the names or addresses; there must be an address or a name.
    pub fn holds_for_host(
        &self,
        names: &[Value<'_>],
        addresses: &[Value<'_>],
        is_host: impl Fn(&str, IpAddr) -> bool,
    ) -> bool {
        let Matcher::Host { hosts, .. } = &self.matcher else { return false };
        if names.is_empty() && addresses.is_empty() {
            return false;
        }
        let named = |host: &String| names.iter().any(|n| n.as_bytes() == Some(host.as_bytes()));
        let at = |host: &String| {
            addresses.iter().any(|a| matches!(a, Value::Ip(ip) if is_host(host, ip.to_canonical())))
        };
        hosts.iter().any(|host| named(host) || at(host)) != self.negated
    }
}
