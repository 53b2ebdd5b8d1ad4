//! `io_uring.*`: how an event was done that was not done by a system call.

use vedette_event::abi::{header_flags, io_uring_op_name};

use super::LiveFacts;
use crate::field::FieldId;
use crate::value::Value;

/// The value of a field of this family; absent for what a system call did.
pub fn get<'a>(facts: &'a LiveFacts<'_>, field: FieldId) -> Option<Value<'a>> {
    let header = &facts.view.record.header;
    let has = |flag: u16| header.flags & flag != 0;
    if !has(header_flags::IO_URING) {
        return None;
    }
    Some(match field {
        FieldId::IoUringOp => match io_uring_op_name(header.io_uring_op) {
            Some(name) => name.into(),
            None => Value::owned(header.io_uring_op.to_string()),
        },
        FieldId::IoUringSqpoll => has(header_flags::SQPOLL).into(),
        FieldId::IoUringDirect => has(header_flags::DIRECT).into(),
        FieldId::IoUringConfirmed => (!has(header_flags::UNCONFIRMED)).into(),
        _ => return None,
    })
}
