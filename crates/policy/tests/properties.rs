//! Properties: parse ∘ print = identity; the compiled evaluator agrees with a plain one; lists and appending do what
//! they say; nothing panics.

#![allow(clippy::unwrap_used)]

#[path = "support/common.rs"]
mod common;
#[path = "support/reference.rs"]
mod reference;

use proptest::prelude::*;
use proptest::sample::select;
use reference::{Event, Val};
use vedette_policy::source::{MappedText, SourceId, Span};
use vedette_policy::syntax::ast::{
    Argument, Check, Expr, ExprKind, Function, Literal, Op, Operand, OperandKind, Quantifier, Right,
};
use vedette_policy::syntax::parse_condition;
use vedette_policy::{Evaluator, EventType, Facts, FieldName, MapFacts, PolicySet, Severity, Source, Value};

fn mapped(text: &str) -> MappedText {
    let mut mapped = MappedText::default();
    mapped.push_exact(text, SourceId(0), 0);
    mapped
}

fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: Span::default() }
}

fn literal(bytes: impl Into<Vec<u8>>) -> Literal {
    Literal { bytes: bytes.into(), span: Span::default() }
}

fn field(name: &str, arg: Option<String>) -> Operand {
    Operand { kind: OperandKind::Field { name: name.to_owned(), arg }, span: Span::default() }
}

fn call(function: Function, inner: Operand) -> Operand {
    let args = vec![Argument::Operand(inner)];
    Operand { kind: OperandKind::Call { function, args, index: None }, span: Span::default() }
}

/// Conditions around leaves.
fn tree(leaf: impl Strategy<Value = ExprKind> + 'static) -> impl Strategy<Value = Expr> {
    leaf.prop_map(expr).prop_recursive(3, 8, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            many.clone().prop_map(|parts| expr(ExprKind::And(parts))),
            many.prop_map(|parts| expr(ExprKind::Or(parts))),
            inner.prop_map(|inner| expr(ExprKind::Not(Box::new(inner)))),
        ]
    })
}

// ---- parse ∘ print

fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        "[a-z/.:-]{1,8}".prop_map(literal),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(literal),
        ".{0,6}".prop_map(literal),
        select(vec!["oneof", "and", "val", "-1", "0x1f", "(systemd)", "a b", "<NA>", "\\"]).prop_map(literal),
    ]
}

fn any_operand() -> impl Strategy<Value = Operand> {
    let arg = prop::option::of(prop_oneof!["[0-9]{1,2}".boxed(), "[^\u{0}]{1,5}".boxed()]);
    let leaf =
        ("[a-z][a-z0-9_]{0,4}(\\.[a-z][a-z0-9_]{0,4}){1,2}", arg).prop_map(|(name, arg)| field(&name, arg));
    leaf.prop_recursive(2, 4, 2, |inner| {
        let argument =
            prop_oneof![inner.clone().prop_map(Argument::Operand), any_literal().prop_map(Argument::Literal)];
        let index = prop::option::of("[a-z]");
        (select(Function::ALL), prop::collection::vec(argument, 1..3), index).prop_map(
            |(function, args, index)| Operand {
                kind: OperandKind::Call { function, args, index },
                span: Span::default(),
            },
        )
    })
}

fn any_check() -> impl Strategy<Value = ExprKind> {
    let list = prop::collection::vec(any_literal(), 0..4);
    let quantifier = prop::option::of(select(Quantifier::ALL));
    (any_operand(), select(Op::ALL), quantifier, list, any_literal(), any_operand(), 0..3u8).prop_map(
        |(left, op, quantifier, list, value, other, which)| {
            let quantifier = quantifier.filter(|_| op.takes_quantifier());
            let plain_field = matches!(other.kind, OperandKind::Field { .. });
            let operand = if plain_field { Right::Field(other) } else { Right::Call(other) };
            let right = match op {
                Op::Exists => Right::None,
                _ if quantifier.is_some() => Right::List(list),
                _ if op.takes_list() => {
                    if which == 0 {
                        operand
                    } else {
                        Right::List(list)
                    }
                }
                _ => {
                    if which == 0 {
                        operand
                    } else {
                        Right::Value(value)
                    }
                }
            };
            ExprKind::Check(Check { left, op, quantifier, right })
        },
    )
}

fn any_condition() -> impl Strategy<Value = Expr> {
    let name =
        "[a-z][a-z0-9_]{0,6}".prop_filter("a keyword", |n| !["and", "or", "not"].contains(&n.as_str()));
    tree(prop_oneof![3 => any_check(), 1 => name.prop_map(ExprKind::Macro)])
}

// ---- compiled = plain

const TEXTS: &[&str] = &["", "a", "b", "ab", "Ab", "/a/b", "/a", "/ab", "b/a", "aab"];

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => select(TEXTS).prop_map(|t| t.as_bytes().to_vec()), 1 => "[ab/A]{0,4}".prop_map(String::into_bytes)]
}

fn number() -> impl Strategy<Value = i128> {
    -2..4i128
}

fn address() -> impl Strategy<Value = String> {
    select(vec!["10.0.0.1", "10.0.1.1", "192.168.0.1"]).prop_map(str::to_owned)
}

/// A field of each kind, and a strategy for a literal of its type.
fn typed_check() -> impl Strategy<Value = ExprKind> {
    let check = |left: Operand, op, quantifier, right| ExprKind::Check(Check { left, op, quantifier, right });
    let text_field = prop_oneof![
        select(vec!["proc.name", "proc.pname", "proc.args", "fd.nameraw", "fd.types", "proc.aname"])
            .prop_map(|f| field(f, None)),
        Just(field("proc.aname", Some("2".to_owned()))),
        select(vec![Function::ToLower, Function::ToUpper, Function::Basename])
            .prop_map(|function| call(function, field("proc.args", None))),
    ];
    let word_ops = [
        Op::Eq,
        Op::Ne,
        Op::StartsWith,
        Op::EndsWith,
        Op::Contains,
        Op::IContains,
        Op::Glob,
        Op::IGlob,
        Op::Regex,
    ];
    let pattern = prop_oneof![text().boxed(), "[ab/*?]{0,4}".prop_map(String::into_bytes).boxed()];
    let regex = "(a|b|\\[ab\\]|\\.|\\.\\*|/|a\\+){0,4}".prop_map(String::into_bytes);
    let value_for = move |op: Op| -> BoxedStrategy<Literal> {
        match op {
            Op::Glob | Op::IGlob => pattern.clone().prop_map(literal).boxed(),
            Op::Regex => regex.clone().prop_map(literal).boxed(),
            _ => text().prop_map(literal).boxed(),
        }
    };
    let one = (text_field.clone(), select(word_ops.to_vec())).prop_flat_map(move |(left, op)| {
        let quantified = (select(Quantifier::ALL), prop::collection::vec(value_for(op), 0..3))
            .prop_map(|(q, list)| (Some(q), Right::List(list)));
        let plain = value_for(op).prop_map(|v| (None, Right::Value(v)));
        (Just(left), Just(op), prop_oneof![3 => plain, 1 => quantified])
    });
    let one = one.prop_map(move |(left, op, (quantifier, right))| check(left, op, quantifier, right));
    let literals = prop::collection::vec(text().prop_map(literal), 0..7);
    let list = (text_field.clone(), select(vec![Op::In, Op::Intersects, Op::PMatch]), literals)
        .prop_map(move |(left, op, list)| check(left, op, None, Right::List(list)));
    let fields = (select(vec![Op::Eq, Op::Ne, Op::StartsWith, Op::Contains, Op::In]), text_field).prop_map(
        move |(op, right)| {
            let plain = matches!(right.kind, OperandKind::Field { .. });
            let right = if plain { Right::Field(right) } else { Right::Call(right) };
            check(field("proc.name", None), op, None, right)
        },
    );
    let numbers = prop_oneof![
        select(vec!["user.uid", "evt.rawres", "fd.port"]).prop_map(|f| field(f, None)),
        Just(call(Function::Len, field("proc.name", None))),
        Just(call(Function::Len, field("fd.types", None))),
    ];
    let order = [Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge];
    let numeric = (numbers.clone(), select(order.to_vec()), number())
        .prop_map(move |(left, op, n)| check(left, op, None, Right::Value(literal(n.to_string()))));
    let numeric_list = (numbers, prop::collection::vec(number(), 0..4)).prop_map(move |(left, ns)| {
        check(left, Op::In, None, Right::List(ns.iter().map(|n| literal(n.to_string())).collect()))
    });
    let numeric_field = select(order.to_vec()).prop_map(move |op| {
        check(field("user.uid", None), op, None, Right::Field(field("evt.rawres", None)))
    });
    let boolean = (select(vec![Op::Eq, Op::Ne]), any::<bool>()).prop_map(move |(op, b)| {
        check(field("evt.is_open_read", None), op, None, Right::Value(literal(b.to_string())))
    });
    let network =
        (address(), select(vec![8, 16, 24, 32])).prop_map(|(a, bits)| literal(format!("{a}/{bits}")));
    let net = (select(vec!["fd.net", "fd.snet"]), select(vec![Op::Eq, Op::Ne]), network)
        .prop_map(move |(f, op, n)| check(field(f, None), op, None, Right::Value(n)));
    let ip = (select(vec!["fd.ip", "fd.sip"]), select(vec![Op::Eq, Op::Ne]), address())
        .prop_map(move |(f, op, a)| check(field(f, None), op, None, Right::Value(literal(a))));
    let event = (select(vec![Op::In, Op::Intersects]), prop::collection::vec(select(TYPES), 1..3)).prop_map(
        move |(op, types)| {
            let names = types.iter().map(|t| literal(t.name())).collect();
            check(field("evt.type", None), op, None, Right::List(names))
        },
    );
    let all_fields = vec!["proc.name", "user.uid", "fd.ip", "fd.types", "proc.aname"];
    let exists = select(all_fields).prop_map(move |f| check(field(f, None), Op::Exists, None, Right::None));
    prop_oneof![
        4 => one, 3 => list, 2 => fields, 2 => numeric, 1 => numeric_list, 1 => numeric_field, 1 => boolean,
        3 => net, 3 => ip, 2 => event, 1 => exists,
    ]
}

const TYPES: &[EventType] = &[EventType::Open, EventType::Openat, EventType::Connect, EventType::Execve];

/// An event for both evaluators.
fn event() -> impl Strategy<Value = (EventType, Event)> {
    let texts = prop::collection::vec(prop::option::of(text()), 4);
    let lists = prop::collection::vec(prop::collection::vec(text(), 0..3), 2);
    let numbers = (prop::option::of(0..4i128), prop::option::of(number()), prop::option::of(any::<bool>()));
    let ends = (prop::option::of(address()), prop::option::of(address()), prop::option::of(0..4i128));
    (select(TYPES), texts, lists, numbers, ends).prop_map(|(event_type, texts, lists, numbers, ends)| {
        let mut event = Event::new();
        event.insert("evt.type".to_owned(), vec![Val::Text(event_type.name().as_bytes().to_vec())]);
        for (name, text) in ["proc.name", "proc.args", "fd.nameraw"].iter().zip(&texts) {
            event.insert((*name).to_owned(), text.iter().map(|t| Val::Text(t.clone())).collect());
        }
        let list = |l: &[Vec<u8>]| l.iter().map(|t| Val::Text(t.clone())).collect::<Vec<_>>();
        event.insert("fd.types".to_owned(), list(&lists[0]));
        event.insert("proc.aname".to_owned(), list(&lists[1]));
        event.insert("proc.pname".to_owned(), list(&lists[1]).into_iter().take(1).collect());
        event.insert("proc.aname[2]".to_owned(), list(&lists[1]).into_iter().skip(1).take(1).collect());
        event.insert("user.uid".to_owned(), numbers.0.map(Val::Number).into_iter().collect());
        event.insert("evt.rawres".to_owned(), numbers.1.map(Val::Number).into_iter().collect());
        event.insert("evt.is_open_read".to_owned(), numbers.2.map(Val::Bool).into_iter().collect());
        let ip = |a: &Option<String>| a.iter().map(|a| Val::Ip(a.parse().unwrap())).collect::<Vec<_>>();
        let (client, server) = (ip(&ends.0), ip(&ends.1));
        let both: Vec<_> = client.iter().chain(&server).cloned().collect();
        for name in ["fd.ip", "fd.net"] {
            event.insert(name.to_owned(), both.clone());
        }
        for name in ["fd.sip", "fd.snet"] {
            event.insert(name.to_owned(), server.clone());
        }
        event.insert("fd.cip".to_owned(), client);
        event.insert("fd.port".to_owned(), ends.2.map(Val::Number).into_iter().collect());
        (event_type, event)
    })
}

fn to_facts(event_type: EventType, event: &Event) -> MapFacts {
    let mut facts = MapFacts::new(event_type);
    for (name, values) in event.iter().filter(|(name, _)| *name != "evt.type") {
        let values = values.iter().map(|v| match v {
            Val::Text(t) => Value::Bytes(t.clone().into()),
            Val::Number(n) => Value::Int(i64::try_from(*n).unwrap()),
            Val::Bool(b) => Value::Bool(*b),
            Val::Ip(ip) => Value::Ip(*ip),
        });
        facts = facts.with_all(FieldName::parse(name).unwrap(), values.collect());
    }
    facts
}

fn rule(name: &str, condition: &str) -> String {
    let condition = serde_json::to_string(condition).unwrap();
    format!(
        "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n  warn_evttypes: false\n"
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn parse_of_print_is_identity(condition in any_condition()) {
        let printed = condition.to_string();
        let parsed = parse_condition(&mapped(&printed)).map_err(|e| TestCaseError::fail(format!("{printed}: {e}")))?;
        prop_assert_eq!(&parsed, &condition, "{}", printed);
        prop_assert_eq!(parsed.to_string(), printed);
    }

    #[test]
    fn compiled_agrees_with_plain(
        conditions in prop::collection::vec(tree(typed_check()), 1..4),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let text: String = (0..).zip(&conditions).map(|(i, c)| rule(&i.to_string(), &c.to_string())).collect();
        let loaded = common::load(&text);
        let set = loaded.set.as_ref().ok_or_else(|| TestCaseError::fail(loaded.render(Severity::Error, false)))?;
        let mut evaluator = Evaluator::new(set.clone());
        for (event_type, event) in &events {
            let mut fired = Vec::new();
            let facts = to_facts(*event_type, event);
            evaluator.evaluate(&facts, |m| fired.push(m.rule_index));
            // A program that could not be started is the business of conditions only that ask for the result.
            let is_asked = |i: usize| !facts.is_failed_exec() || set.rules()[i].conditions()[0].asks_for_result();
            let expected: Vec<_> = conditions
                .iter()
                .enumerate()
                .filter(|(i, c)| is_asked(*i) && reference::holds(c, event))
                .map(|(i, _)| i)
                .collect();
            prop_assert_eq!(fired, expected, "{}\n{:?}", text, event);
        }
    }

    #[test]
    fn a_list_stands_for_its_items(
        first in prop::collection::vec("[a-z]{1,3}( [a-z]{1,2})?", 0..5),
        second in prop::collection::vec("[a-z]{1,3}", 0..5),
        extra in prop::collection::vec("[a-z]{1,3}", 0..3),
        name in "[a-z]{1,3}",
    ) {
        let list = |items: &[String]| serde_json::to_string(items).unwrap();
        let in_list = [vec!["LIST".to_owned()], extra.clone()].concat().join(", ");
        let text = format!(
            "- list: LIST\n  items: {}\n- list: LIST\n  items: {}\n  override: {{items: append}}\n{}",
            list(&first), list(&second), rule("r", &format!("proc.name in ({in_list})"))
        );
        let set = common::load(&text).set.unwrap();
        let mut matched = false;
        let facts = MapFacts::new(EventType::Open).with(FieldName::parse("proc.name").unwrap(), Value::owned(name.clone()));
        Evaluator::new(set).evaluate(&facts, |_| matched = true);
        let all = [first, second, extra].concat();
        prop_assert_eq!(matched, all.contains(&name));
    }

    #[test]
    fn appending_is_textual(condition in tree(typed_check()), cut in any::<prop::sample::Index>()) {
        let printed = condition.to_string();
        let blanks: Vec<_> = printed.match_indices(' ').map(|(i, _)| i).collect();
        // A blank inside quotes is no place to cut: the halves would not be whole.
        let outside: Vec<_> = blanks.into_iter().filter(|i| printed[..*i].matches('"').count() % 2 == 0 && !printed.contains('\\')).collect();
        prop_assume!(!outside.is_empty());
        let at = outside[cut.index(outside.len())];
        let quote = |text: &str| serde_json::to_string(text).unwrap();
        let whole = format!("- macro: m\n  condition: {}\n{}", quote(&printed), rule("r", "m"));
        let (start, end) = (&printed[..at], &printed[at + 1..]);
        prop_assume!(!start.trim().is_empty() && !end.trim().is_empty());
        let parts = format!(
            "- macro: m\n  condition: {}\n- macro: m\n  condition: {}\n  override: {{condition: append}}\n{}",
            quote(start), quote(end), rule("r", "m")
        );
        let text_of = |text: &str| match &common::load(text).set.unwrap().rules()[0].detection {
            vedette_policy::rule::Detection::Single(condition) => condition.text.clone(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(text_of(&whole), text_of(&parts));
    }

    #[test]
    fn nothing_panics(text in prop_oneof!["[ -~\\n]{0,80}", ".{0,60}", "(proc\\.name|and|or|not|\\(|\\)|in|=|\"|'| |,|\\[|a){0,30}"]) {
        let _ = parse_condition(&mapped(&text));
        let _ = vedette_policy::syntax::template::parse_template(&mapped(&text));
        let loaded = PolicySet::load([Source::new("a", text.clone()), Source::new("b", rule("r", &text))]);
        loaded.diagnostics.iter().for_each(|d| drop((d.render(&loaded.sources, true), d.to_record(&loaded.sources))));
    }
}
