// SPDX-License-Identifier: MIT OR Apache-2.0

//! A program of a few system calls, made here: a board in an initramfs has neither a shell nor a
//! compiler. A64 instructions as in the Arm Architecture Reference Manual (C6.2), a static file
//! as in elf(5).

/// Where the file is in memory.
const BASE: u32 = 0x40_0000;

/// Size of the headers: one of the file, one of its only segment.
const HEADERS: u32 = 64 + 56;

const SVC: u32 = 0xD400_0001;
/// `mov x19, x0`: a call leaves that as it is.
const KEEP: u32 = 0xAA00_03F3;
/// `mov x0, x19`
const KEPT: u32 = 0xAA13_03E0;
const NOP: u32 = 0xD503_201F;
/// `lsr x0, x0, #63`: 1 if the call failed.
const FAILED: u32 = 0xD37F_FC00;
/// `cbz x0, +12`: over the two instructions of the exit.
const IF_NOT: u32 = 0xB400_0060;
/// The register of a call's number.
const NUMBER: u32 = 8;

// include/uapi/asm-generic/unistd.h
const IOCTL: u16 = 29;
const MKNODAT: u16 = 33;
const UMOUNT2: u16 = 39;
const MOUNT: u16 = 40;
const OPENAT: u16 = 56;
const READ: u16 = 63;
const WRITE: u16 = 64;
const FSYNC: u16 = 82;
const EXIT: u16 = 93;
const KILL: u16 = 129;
const GETPPID: u16 = 173;

const O_WRONLY: u32 = 1;
const O_RDWR: u32 = 2;

/// An argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// A number.
    Number(u32),
    /// The address of a text that ends with a zero.
    Text(&'a str),
    /// The address of a byte of the program's memory.
    Memory(u32),
    /// What the call before has returned.
    Result,
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    number: u16,
    arguments: Vec<Argument<'a>>,
}

impl<'a> Call<'a> {
    /// `openat(2)` for writing. The first file that a program opens is number 3.
    pub fn open_to_write(path: &'a str) -> Self {
        // With an absolute path it does not matter which folder.
        let folder = Argument::Number(0);
        Self::new(
            OPENAT,
            &[folder, Argument::Text(path), Argument::Number(O_WRONLY)],
        )
    }

    /// `write(2)` of a short text.
    pub fn write(file: u32, text: &'a str) -> Self {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let arguments = [
            Argument::Number(file),
            Argument::Text(text),
            Argument::Number(length),
        ];
        Self::new(WRITE, &arguments)
    }

    /// `openat(2)` for reading and writing.
    pub fn open(path: &'a str) -> Self {
        let folder = Argument::Number(0);
        Self::new(
            OPENAT,
            &[folder, Argument::Text(path), Argument::Number(O_RDWR)],
        )
    }

    /// `ioctl(2)` with a structure in the program's memory.
    pub fn ioctl(file: u32, request: u32, at: u32) -> Self {
        let arguments = [
            Argument::Number(file),
            Argument::Number(request),
            Argument::Memory(at),
        ];
        Self::new(IOCTL, &arguments)
    }

    /// `read(2)` into the program's memory.
    pub fn read(file: u32, at: u32, length: u32) -> Self {
        let arguments = [
            Argument::Number(file),
            Argument::Memory(at),
            Argument::Number(length),
        ];
        Self::new(READ, &arguments)
    }

    /// `write(2)` of the program's memory.
    pub fn write_memory(file: u32, at: u32, length: u32) -> Self {
        let arguments = [
            Argument::Number(file),
            Argument::Memory(at),
            Argument::Number(length),
        ];
        Self::new(WRITE, &arguments)
    }

    /// `fsync(2)`.
    pub fn sync(file: u32) -> Self {
        Self::new(FSYNC, &[Argument::Number(file)])
    }

    /// `getppid(2)`.
    pub fn parent() -> Self {
        Self::new(GETPPID, &[])
    }

    /// `kill(2)` of the process that the call before has returned.
    pub fn signal_it(signal: u32) -> Self {
        Self::new(KILL, &[Argument::Result, Argument::Number(signal)])
    }

    /// `mount(2)` of a tmpfs with these options.
    pub fn mount_tmpfs(point: &'a str, options: &'a str) -> Self {
        let kind = Argument::Text("tmpfs");
        let (point, options) = (Argument::Text(point), Argument::Text(options));
        Self::new(MOUNT, &[kind, point, kind, Argument::Number(0), options])
    }

    /// `mknodat(2)` of another `/dev/null`.
    pub fn make_null(path: &'a str) -> Self {
        // S_IFCHR and read and write for its owner; major 1, minor 3.
        let (mode, device) = (Argument::Number(0o020_600), Argument::Number(0x103));
        let folder = Argument::Number(0);
        Self::new(MKNODAT, &[folder, Argument::Text(path), mode, device])
    }

    /// `umount2(2)`.
    pub fn unmount(point: &'a str) -> Self {
        Self::new(UMOUNT2, &[Argument::Text(point), Argument::Number(0)])
    }

    fn new(number: u16, arguments: &[Argument<'a>]) -> Self {
        Self {
            number,
            arguments: arguments.to_vec(),
        }
    }

    /// How many instructions it takes, with the look whether it failed.
    fn instructions(&self) -> usize {
        2 * self.arguments.len() + 1 + 1 + 1 + 1 + 1 + 2
    }
}

/// The program that does these calls with this memory. It ends with status 0, or 1 with the first
/// that fails.
pub(crate) fn program(calls: &[Call<'_>], memory: &[u8]) -> Vec<u8> {
    let instructions: usize = calls.iter().map(Call::instructions).sum();
    // The end: status 0.
    let instructions = instructions + 3;
    let memory_address = BASE + HEADERS + 4 * u32::try_from(instructions).unwrap_or_default();
    // Whatever structure begins there is aligned.
    let memory_address = memory_address.next_multiple_of(8);
    let mut address = memory_address + u32::try_from(memory.len()).unwrap_or_default();
    let (mut code, mut texts) = (Vec::new(), Vec::new());
    for call in calls {
        for (register, argument) in (0..).zip(&call.arguments) {
            let value = match argument {
                Argument::Result => {
                    code.extend([KEPT | register, NOP]);
                    continue;
                }
                Argument::Number(number) => *number,
                Argument::Memory(at) => memory_address + at,
                Argument::Text(text) => {
                    let here = address;
                    texts.extend(text.bytes().chain([0]));
                    address += u32::try_from(text.len() + 1).unwrap_or_default();
                    here
                }
            };
            code.extend(load(register, value));
        }
        code.extend([movz(NUMBER, call.number), SVC, KEEP, FAILED, IF_NOT]);
        code.extend([movz(NUMBER, EXIT), SVC]);
    }
    code.extend([movz(0, 0), movz(NUMBER, EXIT), SVC]);
    let length = u64::from(address - BASE);
    let mut file = headers(length);
    file.extend(code.into_iter().flat_map(u32::to_le_bytes));
    file.resize((memory_address - BASE) as usize, 0);
    file.extend(memory);
    file.extend(texts);
    file
}

/// `movz` and `movk`.
fn load(register: u32, value: u32) -> [u32; 2] {
    let low = (value & 0xFFFF) << 5;
    let high = (value >> 16) << 5;
    [0xD280_0000 | low | register, 0xF2A0_0000 | high | register]
}

fn movz(register: u32, value: u16) -> u32 {
    0xD280_0000 | (u32::from(value) << 5) | register
}

/// The headers of a program that is one segment, and begins behind them.
fn headers(length: u64) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let entry = u64::from(BASE + HEADERS).to_le_bytes();
    // ET_EXEC for EM_AARCH64.
    file.extend([2, 0, 183, 0, 1, 0, 0, 0]);
    file.extend(entry);
    file.extend(64_u64.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    let sizes: [u16; 6] = [64, 56, 1, 64, 0, 0];
    file.extend(sizes.into_iter().flat_map(u16::to_le_bytes));
    // PT_LOAD, readable, writable and executable.
    file.extend([1, 0, 0, 0, 7, 0, 0, 0]);
    let base = u64::from(BASE);
    for value in [0, base, base, length, length, 0x1_0000] {
        file.extend(value.to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_as_long_as_its_headers_say() {
        let file = program(&[Call::open_to_write("/x"), Call::write(3, "c")], b"");
        let length = u64::from_le_bytes(file[96..104].try_into().unwrap());
        assert_eq!(length, file.len() as u64);
        assert!(file.ends_with(b"/x\0c\0"));
    }

    #[test]
    fn a_text_is_where_its_address_says() {
        let file = program(&[Call::unmount("/mnt")], b"");
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let low = (word(120) >> 5) & 0xFFFF;
        let high = (word(124) >> 5) & 0xFFFF;
        let at = (((high << 16) | low) - BASE) as usize;
        assert_eq!(&file[at..], b"/mnt\0");
    }
    #[test]
    fn memory_is_where_its_address_says_and_aligned() {
        let file = program(&[Call::read(3, 2, 4)], b"memory");
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        // The second argument: after the two instructions of the first.
        let low = (word(128) >> 5) & 0xFFFF;
        let high = (word(132) >> 5) & 0xFFFF;
        let address = (high << 16) | low;
        assert_eq!((address - 2) % 8, 0);
        assert_eq!(&file[(address - BASE) as usize..], b"mory");
    }
}
