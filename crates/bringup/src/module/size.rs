// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a module takes in the kernel's memory, from the section headers of its file: elf(5).

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::{Built, FILE};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _, Result};

/// Flags of sections: writable, in memory, executable.
const WRITE: u64 = 1;
const ALLOC: u64 = 2;
const EXECUTE: u64 = 4;

/// The type of a section that is in memory only.
const NOBITS: u32 = 8;

/// Where the headers are, and how many, in the header of the file.
const TABLE: usize = 0x28;
const ENTRY_SIZE: usize = 0x3a;
const COUNT: usize = 0x3c;

/// Bytes by what they are for. Relocations and names, which loading is done with, are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    /// All code, that of initialization included.
    pub(crate) text: u64,
    /// What is only read.
    pub(crate) read_only: u64,
    /// What is written.
    pub(crate) data: u64,
    /// What is zero at first.
    pub(crate) bss: u64,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            text,
            read_only,
            data,
            bss,
        } = self;
        write!(
            f,
            "{FILE}: text {text}, read-only {read_only}, data {data}, bss {bss} bytes"
        )
    }
}

/// The size of a module, as it is loaded.
pub(crate) fn of(built: &Built) -> Result<Size> {
    of_file(&built.stripped)
}

/// The size of the module in this file.
pub(crate) fn of_file(path: &Path) -> Result<Size> {
    let file = std::fs::read(path).or_environment(|| format!("cannot read {}", path.display()))?;
    read(&file).ok_or_else(|| {
        let what = format!("{} is no ELF file of 64 bits", path.display());
        Failure::new(Exit::Build, what)
    })
}

/// Sums up the sections of an ELF file, if it is one.
fn read(file: &[u8]) -> Option<Size> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let start = usize::try_from(word(file, TABLE)?).ok()?;
    let entry = usize::from(half(file, ENTRY_SIZE)?);
    let mut size = Size::default();
    for index in 0..usize::from(half(file, COUNT)?) {
        let header = file.get(start.checked_add(index * entry)?..)?;
        let kind = u32::from_le_bytes(header.get(4..8)?.try_into().ok()?);
        let (flags, bytes) = (word(header, 8)?, word(header, 32)?);
        let sum = match flags {
            _ if flags & ALLOC == 0 => continue,
            _ if flags & EXECUTE != 0 => &mut size.text,
            _ if kind == NOBITS => &mut size.bss,
            _ if flags & WRITE != 0 => &mut size.data,
            _ => &mut size.read_only,
        };
        *sum = sum.checked_add(bytes)?;
    }
    Some(size)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with sections of these types, flags and sizes.
    fn file(sections: &[(u32, u64, u64)]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(64, 0);
        file[TABLE..TABLE + 8].copy_from_slice(&64_u64.to_le_bytes());
        file[ENTRY_SIZE..ENTRY_SIZE + 2].copy_from_slice(&64_u16.to_le_bytes());
        let count = u16::try_from(sections.len()).unwrap();
        file[COUNT..COUNT + 2].copy_from_slice(&count.to_le_bytes());
        for (kind, flags, bytes) in sections {
            let mut header = [0; 64];
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&flags.to_le_bytes());
            header[32..40].copy_from_slice(&bytes.to_le_bytes());
            file.extend(header);
        }
        file
    }

    #[test]
    fn sections_are_summed_up_by_what_they_are_for() {
        let sections = [
            (0, 0, 0),
            (1, ALLOC | EXECUTE, 1000),
            (1, ALLOC | EXECUTE, 24),
            (1, ALLOC, 300),
            (1, ALLOC | WRITE, 40),
            (NOBITS, ALLOC | WRITE, 5),
            // Relocations, symbols and debug information are not in memory.
            (4, 0, 99_999),
        ];
        let size = read(&file(&sections)).unwrap();
        let expected = Size {
            text: 1024,
            read_only: 300,
            data: 40,
            bss: 5,
        };
        assert_eq!(size, expected);
        assert_eq!(
            size.to_string(),
            "dmacopy.ko: text 1024, read-only 300, data 40, bss 5 bytes"
        );
    }

    #[test]
    fn what_is_no_elf_file_or_ends_early_has_no_size() {
        let whole = file(&[(1, ALLOC | EXECUTE, 1000)]);
        assert!(read(&whole).is_some());
        assert_eq!(read(&whole[..100]), None);
        assert_eq!(read(b"[package]\n"), None);
        assert_eq!(read(b""), None);
    }
}
