// SPDX-License-Identifier: MIT OR Apache-2.0

//! The programs that are needed most.

use super::Register::{R0, R1, R2, R3, R6, R7, R10};
use super::{Array, Code, Condition, FileLayout, Function, Register, RingBuffer, Size};
use crate::Error;
use crate::tracepoint::Event;

// Numbers of helpers, see `bpf-helpers(7)`.
const MAP_LOOKUP_ELEM: i32 = 1;
const GET_CURRENT_PID_TGID: i32 = 14;
const RINGBUF_RESERVE: i32 = 131;
const RINGBUF_SUBMIT: i32 = 132;

/// At a tracepoint: counts the values of a field by their magnitude.
///
/// Entry `n` of the array, which should have 64, counts values from 2ⁿ to 2ⁿ⁺¹ - 1, and the first
/// one counts 0, too.
///
/// # Errors
///
/// [`Error::Field`] when the tracepoint has no such field or it is no number.
pub fn histogram<'a>(event: &Event, field: &str, array: &'a Array) -> Result<Code<'a>, Error> {
    let mut code = Code::new();
    load_field(&mut code, event, field, R6, R1)?;

    // R7 becomes the number of the highest bit of R6, by halving.
    code.set(R7, 0);
    for bits in [32, 16, 8, 4, 2, 1] {
        let low = code.label();
        code.copy(R2, R6);
        code.shift_right(R2, bits);
        code.jump_if(Condition::Equal, R2, 0, low);
        code.copy(R6, R2);
        code.add(R7, bits.into());
        code.place(low);
    }

    count(&mut code, array);
    code.set(R0, 0);
    code.exit();
    Ok(code)
}

/// At a tracepoint: writes some of the fields to a ring buffer, each as 64 bits.
///
/// # Errors
///
/// [`Error::Field`] when the tracepoint has no such field or it is no number.
pub fn record<'a>(event: &Event, fields: &[&str], ring: &'a RingBuffer) -> Result<Code<'a>, Error> {
    const WORD_BYTES: i32 = 8;

    let mut code = Code::new();
    let end = code.label();
    let words = (0..).step_by(WORD_BYTES as usize);
    let bytes = words.clone().nth(fields.len()).unwrap_or(0);
    code.copy(R6, R1);
    code.load_map(R1, ring);
    code.set(R2, i32::from(bytes));
    code.set(R3, 0);
    code.call_helper(RINGBUF_RESERVE);
    // Full: the record is lost.
    code.jump_if(Condition::Equal, R0, 0, end);
    code.copy(R7, R0);
    for (field, offset) in fields.iter().zip(words) {
        load_field(&mut code, event, field, R1, R6)?;
        code.store(Size::Double, R7, offset, R1);
    }
    code.copy(R1, R7);
    code.set(R2, 0);
    code.call_helper(RINGBUF_SUBMIT);
    code.place(end);
    code.set(R0, 0);
    code.exit();
    Ok(code)
}

/// When called: calls a function of a driver that takes one number and returns one.
///
/// The memory that it is called with holds both, 64 bits each.
pub fn query(function: &Function) -> Code<'_> {
    let mut code = Code::new();
    code.copy(R6, R1);
    code.load(Size::Double, R1, R6, 0);
    code.call(function);
    code.store(Size::Double, R6, 8, R0);
    code.set(R0, 0);
    code.exit();
    code
}

/// What a program refuses that is asked before requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The device, by its major and minor number.
    pub device: (u32, u32),
    /// The request code.
    pub request: u32,
    /// The process that may send it nevertheless.
    pub except: Option<u32>,
}

/// At the hook `file_ioctl` or `file_ioctl_compat`: refuses a request to a device with `EPERM`, and
/// counts that in the first entry of the array. A program at one of them only is passed by: programs
/// of 32 bits on a kernel of 64 come by the other, so [`Refusal`](super::Refusal) is at both.
pub fn refuse<'a>(refused: &Refused, layout: &FileLayout, array: &'a Array) -> Code<'a> {
    /// How many bits of a device's number are the minor one, within the kernel.
    const MINOR_BITS: u32 = 20;
    const ERROR: i32 = -1;

    let (major, minor) = refused.device;
    let mut code = Code::new();
    let allowed = code.label();
    // The arguments: the file, the request, its argument.
    code.copy(R6, R1);
    code.load(Size::Double, R2, R6, 8);
    code.jump_if_word(Condition::NotEqual, R2, refused.request, allowed);
    if let Some(process) = refused.except {
        code.call_helper(GET_CURRENT_PID_TGID);
        code.shift_right(R0, 32);
        code.jump_if_word(Condition::Equal, R0, process, allowed);
    }
    code.load(Size::Double, R1, R6, 0);
    code.load(Size::Double, R1, R1, layout.inode);
    code.load(Size::Word, R1, R1, layout.device);
    let device = (major << MINOR_BITS) | minor;
    code.jump_if_word(Condition::NotEqual, R1, device, allowed);

    code.set(R7, 0);
    count(&mut code, array);
    code.set(R0, ERROR);
    code.exit();
    code.place(allowed);
    code.set(R0, 0);
    code.exit();
    code
}

/// Adds one to the entry of the array that R7 names, if there is such a one.
fn count<'a>(code: &mut Code<'a>, array: &'a Array) {
    let none = code.label();
    code.store(Size::Word, R10, -4, R7);
    code.copy(R2, R10);
    code.add(R2, -4);
    code.load_map(R1, array);
    code.call_helper(MAP_LOOKUP_ELEM);
    code.jump_if(Condition::Equal, R0, 0, none);
    code.set(R1, 1);
    code.add_atomically(R0, 0, R1);
    code.place(none);
}

/// Loads a field of the record that a register leads to, without sign.
fn load_field(
    code: &mut Code<'_>,
    event: &Event,
    field: &str,
    to: Register,
    record: Register,
) -> Result<(), Error> {
    let found = event.format().field(field).and_then(|found| {
        let is_number = !found.kind.ends_with(']');
        let size = Size::of(found.size).filter(|_| is_number)?;
        Some((size, i16::try_from(found.offset).ok()?))
    });
    let (size, offset) = found.ok_or_else(|| Error::Field {
        field: field.to_owned(),
        event: event.to_string(),
        length: 0,
    })?;
    code.load(size, to, record, offset);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_a_field_that_is_a_number_is_loaded() {
        let mut format = tempfile::NamedTempFile::new().unwrap();
        let text = "ID: 1\n\
            field:u64 length; offset:8; size:8; signed:0;\n\
            field:char comm[8]; offset:16; size:8; signed:0;\n\
            field:__data_loc char[] file; offset:24; size:4; signed:0;\n\
            field:u128 wide; offset:32; size:16; signed:0;\n";
        format.write_all(text.as_bytes()).unwrap();
        let event = Event::at(format.path(), "system", "name").unwrap();
        let load = |field| load_field(&mut Code::new(), &event, field, R2, R1);
        load("length").unwrap();
        for field in ["comm", "file", "wide", "absent"] {
            let error = load(field).unwrap_err();
            assert!(matches!(error, Error::Field { .. }), "{field}: {error}");
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}
