//! A condition with its names resolved and its types checked.

use std::net::IpAddr;
use std::sync::Arc;

use crate::field::{FieldName, Multiplicity};
use crate::source::Span;
use crate::term::Term;

/// A typed condition.
#[derive(Debug, Clone)]
pub enum Cond {
    /// All hold.
    And(Vec<Cond>),
    /// One holds.
    Or(Vec<Cond>),
    /// It does not hold.
    Not(Box<Cond>),
    /// A comparison.
    Atom(Arc<Atom>),
}

impl Cond {
    /// All comparisons, in order.
    pub fn atoms(&self) -> Vec<&Arc<Atom>> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::atoms).collect(),
            Self::Not(inner) => inner.atoms(),
            Self::Atom(atom) => vec![atom],
        }
    }
}

/// A comparison: the term has a value that passes the test.
///
/// Without a value the comparison is false, negated or not.
#[derive(Debug, Clone)]
pub struct Atom {
    /// What is read.
    pub term: Term,
    /// How many values that may be.
    pub many: Multiplicity,
    /// `!=`: the value must fail the test.
    pub negated: bool,
    /// For a list: every value must pass (`in`), not just one.
    pub every: bool,
    /// The test.
    pub test: Test,
    /// The comparison as text; equal texts are equal comparisons.
    pub text: String,
    /// Where it is written.
    pub span: Span,
    /// It comes from the scope of the policy, which the kernel decides by cgroup.
    pub is_scope: bool,
}

impl Atom {
    /// The fields it reads, on either side.
    pub fn fields(&self) -> Vec<&FieldName> {
        let mut fields = self.term.fields();
        if let Test::NumberField(_, term) | Test::TextField(_, term) | Test::InField(term) = &self.test {
            fields.extend(term.fields());
        }
        fields
    }
}

/// A test on one value.
#[derive(Debug, Clone)]
pub enum Test {
    /// There is a value.
    Exists,
    /// It is that.
    Bool(bool),
    /// It compares so with that number.
    Number(NumberOp, f64, i128),
    /// It is one of the numbers.
    NumberIn(Vec<i128>),
    /// It goes with one of the texts.
    Text(TextOp, Vec<Vec<u8>>),
    /// The whole value matches one of the patterns.
    Regex(Vec<Arc<regex::bytes::Regex>>, Vec<String>),
    /// It lies in one of the networks (an address is a network of one).
    Net(Vec<(IpAddr, u8)>),
    /// It is the address of one of the hosts; read from the address field that the name belongs to.
    Host(Vec<String>),
    /// It compares so with the value of another term: of numbers.
    NumberField(NumberOp, Term),
    /// It goes so with the value of another term: of texts, truth values, addresses.
    TextField(TextOp, Term),
    /// It is one of the values of another term.
    InField(Term),
}

/// A comparison of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberOp {
    /// Equal.
    Eq,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

impl NumberOp {
    /// Whether it holds for an ordering of left and right.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
        }
    }
}

/// How a value goes with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextOp {
    /// It is the text.
    Equal,
    /// It begins with it.
    StartsWith,
    /// It ends with it.
    EndsWith,
    /// It contains it.
    Contains,
    /// It contains it, whatever the case of letters.
    IContains,
    /// It matches the shell pattern.
    Glob,
    /// It matches the shell pattern, whatever the case of letters.
    IGlob,
    /// It is that path or lies below it.
    PMatch,
}
