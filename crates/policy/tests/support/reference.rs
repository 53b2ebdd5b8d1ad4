//! A second evaluator, as plain as can be: it walks the syntax tree and follows the language's description word by
//! word. The compiled evaluator must agree with it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vedette_policy::syntax::ast::{
    Argument, Check, Expr, ExprKind, Function, Op, Operand, OperandKind, Quantifier, Right,
};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Val {
    Text(Vec<u8>),
    Number(i128),
    Bool(bool),
    Ip(IpAddr),
}

/// An event: for each field its values.
pub type Event = BTreeMap<String, Vec<Val>>;

/// Whether a condition (without macros) holds for an event.
pub fn holds(expr: &Expr, event: &Event) -> bool {
    match &expr.kind {
        ExprKind::And(parts) => parts.iter().all(|p| holds(p, event)),
        ExprKind::Or(parts) => parts.iter().any(|p| holds(p, event)),
        ExprKind::Not(inner) => !holds(inner, event),
        ExprKind::Check(check) => check_holds(check, event),
        ExprKind::Macro(name) => panic!("no macro {name} here"),
    }
}

/// How the values of an operand count.
#[derive(PartialEq)]
enum Many {
    /// One must pass.
    Any,
    /// Both ends: `!=` must hold for all.
    Ends,
    /// A list: `in` and `!=` must hold for all.
    List,
}

fn operand(operand: &Operand, event: &Event) -> (Vec<Val>, Many) {
    match &operand.kind {
        OperandKind::Field { name, arg } => {
            let key = arg.as_ref().map_or(name.clone(), |a| format!("{name}[{a}]"));
            let values = event.get(&key).cloned().unwrap_or_default();
            let many = match name.as_str() {
                "fd.ip" | "fd.net" | "fd.port" => Many::Ends,
                "fd.types" => Many::List,
                _ => Many::Any,
            };
            (values, many)
        }
        OperandKind::Call { function, args, .. } => {
            let Argument::Operand(inner) = &args[0] else { panic!("the generator makes none") };
            let (values, many) = self::operand(inner, event);
            let text = |v: &Val| match v {
                Val::Text(t) => t.clone(),
                other => panic!("{other:?} is no text"),
            };
            match function {
                Function::ToLower => {
                    (values.iter().map(|v| Val::Text(text(v).to_ascii_lowercase())).collect(), many)
                }
                Function::ToUpper => {
                    (values.iter().map(|v| Val::Text(text(v).to_ascii_uppercase())).collect(), many)
                }
                Function::Basename => {
                    let base = |v: &Val| text(v).rsplit(|b| *b == b'/').next().unwrap().to_vec();
                    (values.iter().map(|v| Val::Text(base(v))).collect(), many)
                }
                Function::Len => {
                    let len = if let [one] = values.as_slice() { text(one).len() } else { values.len() };
                    (vec![Val::Number(len as i128)], Many::Any)
                }
                other => panic!("the generator makes no {other:?}"),
            }
        }
    }
}

fn check_holds(check: &Check, event: &Event) -> bool {
    let (values, many) = operand(&check.left, event);
    if check.op == Op::Exists {
        return !values.is_empty();
    }
    if let (Some(quantifier), Right::List(literals)) = (check.quantifier, &check.right) {
        let holding = literals
            .iter()
            .filter(|l| all_values(check.op, &values, &many, std::slice::from_ref(&l.bytes)))
            .count();
        return match quantifier {
            Quantifier::AnyOf => holding > 0,
            Quantifier::AllOf => holding == literals.len() && holding > 0,
            Quantifier::OneOf => holding == 1,
        };
    }
    match &check.right {
        Right::Value(literal) => all_values(check.op, &values, &many, std::slice::from_ref(&literal.bytes)),
        Right::List(literals) => {
            let bytes: Vec<_> = literals.iter().map(|l| l.bytes.clone()).collect();
            all_values(check.op, &values, &many, &bytes)
        }
        Right::Field(right) | Right::Call(right) => {
            let (others, _) = operand(right, event);
            if others.is_empty() {
                return false;
            }
            let passes = |v: &Val| others.iter().any(|o| against(check.op, v, o));
            let every = many != Many::Any && check.op == Op::Ne || many == Many::List && check.op == Op::In;
            combine(check.op, every, &values, passes)
        }
        Right::None => panic!("only exists has no right-hand side"),
    }
}

/// The test on each value, `!=` negated, over all values.
fn combine(op: Op, every: bool, values: &[Val], passes: impl Fn(&Val) -> bool) -> bool {
    let passes = |v: &Val| passes(v) != (op == Op::Ne);
    if every { !values.is_empty() && values.iter().all(passes) } else { values.iter().any(passes) }
}

fn all_values(op: Op, values: &[Val], many: &Many, literals: &[Vec<u8>]) -> bool {
    let every = match many {
        Many::Any => false,
        Many::Ends => op == Op::Ne,
        Many::List => matches!(op, Op::Ne | Op::In),
    };
    combine(op, every, values, |v| literals.iter().any(|l| one(op, v, l)))
}

/// One value against one literal; for `!=` whether they are equal.
fn one(op: Op, value: &Val, literal: &[u8]) -> bool {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    match value {
        Val::Bool(b) => text == b.to_string(),
        Val::Number(n) => {
            against(op, value, &Val::Number(text.parse().unwrap_or_else(|_| panic!("{text} {n}"))))
        }
        Val::Ip(ip) => in_network(*ip, text),
        Val::Text(v) => text_op(op, v, literal),
    }
}

fn against(op: Op, value: &Val, other: &Val) -> bool {
    match (value, other) {
        (Val::Number(a), Val::Number(b)) => match op {
            Op::Lt => a < b,
            Op::Le => a <= b,
            Op::Gt => a > b,
            Op::Ge => a >= b,
            _ => a == b,
        },
        (Val::Text(a), Val::Text(b)) => text_op(op, a, b),
        (a, b) => a == b,
    }
}

fn text_op(op: Op, v: &[u8], literal: &[u8]) -> bool {
    let contains = |v: &[u8], l: &[u8]| l.is_empty() || v.windows(l.len()).any(|w| w == l);
    match op {
        Op::Eq | Op::Ne | Op::In | Op::Intersects => v == literal,
        Op::StartsWith => v.starts_with(literal),
        Op::EndsWith => v.ends_with(literal),
        Op::Contains => contains(v, literal),
        Op::IContains => contains(&v.to_ascii_lowercase(), &literal.to_ascii_lowercase()),
        Op::Glob => glob(literal, v),
        Op::IGlob => glob(&literal.to_ascii_lowercase(), &v.to_ascii_lowercase()),
        Op::PMatch => {
            let parts = |p: &[u8]| -> Vec<Vec<u8>> { p.split(|b| *b == b'/').map(<[u8]>::to_vec).collect() };
            let mut wanted = parts(literal);
            while wanted.len() > 1 && wanted.last().is_some_and(Vec::is_empty) {
                wanted.pop();
            }
            parts(v).starts_with(&wanted)
        }
        Op::Regex => {
            let pattern = format!(r"\A(?:{})\z", std::str::from_utf8(literal).unwrap());
            regex::bytes::Regex::new(&pattern).unwrap().is_match(v)
        }
        other => panic!("the generator makes no {other:?} of text"),
    }
}

/// fnmatch(3), the plain recursive way; the generator makes no brackets or backslashes.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => glob(&pattern[1..], text) || !text.is_empty() && glob(pattern, &text[1..]),
        (Some(b'?'), Some(_)) => glob(&pattern[1..], &text[1..]),
        (Some(p), Some(t)) if p == t => glob(&pattern[1..], &text[1..]),
        _ => false,
    }
}

fn in_network(ip: IpAddr, network: &str) -> bool {
    let (address, bits) = network.split_once('/').unwrap_or((network, "32"));
    let (Ok(IpAddr::V4(address)), IpAddr::V4(ip)) = (address.parse(), ip) else { return false };
    let bits: u32 = bits.parse().unwrap();
    (0..bits).all(|bit| u32::from(address) >> (31 - bit) & 1 == u32::from(ip) >> (31 - bit) & 1)
}
