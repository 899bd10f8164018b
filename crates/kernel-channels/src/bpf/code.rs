// SPDX-License-Identifier: MIT OR Apache-2.0

//! Instructions, as RFC 9669 encodes them, and lists of them in the making.

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};

use super::Function;

/// One instruction, as the kernel takes it: opcode, registers, offset and immediate value.
pub type Instruction = [u8; 8];

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// What a function or the program returns.
    R0,
    /// The context when the program begins, and the first argument of a call. Calls change R1 to
    /// R5.
    R1,
    /// The second argument.
    R2,
    /// The third argument.
    R3,
    /// The fourth argument.
    R4,
    /// The fifth argument.
    R5,
    /// Kept by calls.
    R6,
    /// Kept by calls.
    R7,
    /// Kept by calls.
    R8,
    /// Kept by calls.
    R9,
    /// The end of the stack, which has 512 bytes. Cannot be written.
    R10,
}

/// How much a load or a store moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Half,
    /// 4 bytes.
    Word,
    /// 8 bytes.
    Double,
}

impl Size {
    /// A size by the number of its bytes.
    pub fn of(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Half),
            4 => Some(Self::Word),
            8 => Some(Self::Double),
            _ => None,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }
}

/// When to jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The register has this value.
    Equal,
    /// It has another.
    NotEqual,
}

/// A place in a list of instructions that can be jumped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// A program in the making. Jumps go forward only, so every program ends.
///
/// It borrows the maps and the functions that it names, which must be there when it is loaded.
#[derive(Clone, Debug, Default)]
pub struct Code<'a> {
    instructions: Vec<Instruction>,
    /// Jumps whose distance is not known yet: their place and their label.
    jumps: Vec<(usize, Label)>,
    /// The place of each label, once it has one.
    labels: Vec<Option<usize>>,
    /// The modules whose functions are called.
    pub(super) modules: Vec<i32>,
    borrowed: PhantomData<&'a ()>,
}

impl<'a> Code<'a> {
    /// No instructions.
    pub fn new() -> Self {
        Self::default()
    }

    fn push(&mut self, opcode: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        let [o0, o1] = offset.to_ne_bytes();
        let [i0, i1, i2, i3] = immediate.to_ne_bytes();
        let registers = if cfg!(target_endian = "little") {
            (from << 4) | to
        } else {
            (to << 4) | from
        };
        self.instructions
            .push([opcode, registers, o0, o1, i0, i1, i2, i3]);
    }

    /// `to = from`
    pub fn copy(&mut self, to: Register, from: Register) {
        self.push(0xbf, to as u8, from as u8, 0, 0);
    }

    /// `to = value`
    pub fn set(&mut self, to: Register, value: i32) {
        self.push(0xb7, to as u8, 0, 0, value);
    }

    /// `to += value`
    pub fn add(&mut self, to: Register, value: i32) {
        self.push(0x07, to as u8, 0, 0, value);
    }

    /// `to >>= bits`, without sign
    pub fn shift_right(&mut self, to: Register, bits: u8) {
        self.push(0x77, to as u8, 0, 0, bits.into());
    }

    /// `to = *(from + offset)`, without sign
    pub fn load(&mut self, size: Size, to: Register, from: Register, offset: i16) {
        self.push(0x61 | size.bits(), to as u8, from as u8, offset, 0);
    }

    /// `*(to + offset) = from`
    pub fn store(&mut self, size: Size, to: Register, offset: i16, from: Register) {
        self.push(0x63 | size.bits(), to as u8, from as u8, offset, 0);
    }

    /// `*(to + offset) += from`, of eight bytes, atomically
    pub fn add_atomically(&mut self, to: Register, offset: i16, from: Register) {
        self.push(0xdb, to as u8, from as u8, offset, 0);
    }

    /// `to =` the map, for a helper to take
    pub fn load_map(&mut self, to: Register, map: &'a impl AsFd) {
        // BPF_PSEUDO_MAP_FD stands for the source.
        self.push(0x18, to as u8, 1, 0, map.as_fd().as_raw_fd());
        self.push(0, 0, 0, 0, 0);
    }

    /// Calls a helper of the kernel by its number in `bpf-helpers(7)`.
    pub fn call_helper(&mut self, number: i32) {
        self.push(0x85, 0, 0, 0, number);
    }

    /// Calls a function of a module.
    pub fn call(&mut self, function: &'a Function) {
        let module = function.module().as_raw_fd();
        let known = self.modules.iter().position(|one| *one == module);
        let index = known.unwrap_or_else(|| {
            self.modules.push(module);
            self.modules.len() - 1
        });
        // Number 0 is the kernel itself. BPF_PSEUDO_KFUNC_CALL stands for the source.
        let index = i16::try_from(index + 1).unwrap_or(i16::MAX);
        self.push(0x85, 0, 2, index, function.id());
    }

    /// Ends the program, which returns R0.
    pub fn exit(&mut self) {
        self.push(0x95, 0, 0, 0, 0);
    }

    /// A place that [`Self::place`] will say.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Says that a label is here.
    pub fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.instructions.len());
    }

    /// Jumps to a label if a register has or has not this value.
    pub fn jump_if(&mut self, condition: Condition, register: Register, value: i32, label: Label) {
        let opcode = match condition {
            Condition::Equal => 0x15,
            Condition::NotEqual => 0x55,
        };
        self.jumps.push((self.instructions.len(), label));
        self.push(opcode, register as u8, 0, 0, value);
    }

    /// Jumps to a label if the lower 32 bits of a register are or are not this value.
    pub fn jump_if_word(
        &mut self,
        condition: Condition,
        register: Register,
        value: u32,
        label: Label,
    ) {
        let opcode = match condition {
            Condition::Equal => 0x16,
            Condition::NotEqual => 0x56,
        };
        self.jumps.push((self.instructions.len(), label));
        self.push(
            opcode,
            register as u8,
            0,
            0,
            i32::from_ne_bytes(value.to_ne_bytes()),
        );
    }

    /// The instructions; `None` when a jump leads to nowhere, backward or too far.
    pub(super) fn finish(&self) -> Option<Vec<Instruction>> {
        let mut instructions = self.instructions.clone();
        for (from, label) in &self.jumps {
            // Distances count from the instruction after the jump.
            let distance = self.labels.get(label.0).copied()??.checked_sub(from + 1)?;
            let [low, high] = i16::try_from(distance).ok()?.to_ne_bytes();
            let instruction = &mut instructions[*from];
            (instruction[2], instruction[3]) = (low, high);
        }
        Some(instructions)
    }
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::Register::{R0, R1, R6, R10};
    use super::*;

    #[test]
    fn instructions_are_those_of_the_rfc() {
        let mut code = Code::new();
        code.copy(R6, R1);
        code.load(Size::Double, R0, R6, 40);
        code.store(Size::Word, R10, -4, R0);
        code.add(R0, -1);
        code.shift_right(R0, 32);
        code.add_atomically(R0, 8, R1);
        code.call_helper(131);
        code.exit();
        let expected: [Instruction; 8] = [
            [0xbf, 0x16, 0, 0, 0, 0, 0, 0],
            [0x79, 0x60, 40, 0, 0, 0, 0, 0],
            [0x63, 0x0a, 0xfc, 0xff, 0, 0, 0, 0],
            [0x07, 0x00, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [0x77, 0x00, 0, 0, 32, 0, 0, 0],
            [0xdb, 0x10, 8, 0, 0, 0, 0, 0],
            [0x85, 0x00, 0, 0, 131, 0, 0, 0],
            [0x95, 0x00, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(code.finish().unwrap(), expected);
    }

    #[test]
    fn a_jump_counts_from_the_next_instruction() {
        let mut code = Code::new();
        let end = code.label();
        code.jump_if(Condition::Equal, R0, 7, end);
        code.set(R0, 1);
        code.set(R0, 2);
        code.place(end);
        code.exit();
        let instructions = code.finish().unwrap();
        assert_eq!(instructions[0], [0x15, 0, 2, 0, 7, 0, 0, 0]);

        let mut code = Code::new();
        let end = code.label();
        code.jump_if_word(Condition::NotEqual, R6, 0xc020_6401, end);
        code.place(end);
        code.exit();
        let instructions = code.finish().unwrap();
        assert_eq!(instructions[0], [0x56, 6, 0, 0, 0x01, 0x64, 0x20, 0xc0]);
    }

    #[test]
    fn a_jump_to_nowhere_or_backward_is_no_program() {
        let mut code = Code::new();
        let label = code.label();
        code.jump_if(Condition::NotEqual, R0, 0, label);
        assert_eq!(code.finish(), None);

        let mut code = Code::new();
        let label = code.label();
        code.place(label);
        code.jump_if(Condition::NotEqual, R0, 0, label);
        assert_eq!(code.finish(), None);
    }
}
