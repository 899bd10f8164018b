// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether a program is one for the board and what runs it, which its first bytes say: elf(5).

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _, Result};

/// `e_machine` of programs for 64-bit ARM.
const AARCH64: u16 = 183;

/// And of those for a usual PC.
const X86_64: u16 = 62;

/// How a program begins.
const ELF: &[u8] = b"\x7fELF";

/// Length of what is read: up to the end of `e_machine`.
const START: usize = 20;

/// How much of a script the kernel looks at: `BINPRM_BUF_SIZE` in `include/uapi/linux/binfmts.h`.
const LONGEST_LINE: u64 = 256;

/// Refuses a program that is built for another platform, and what is neither that nor a script.
pub(crate) fn require_for_board(program: &Path) -> Result<()> {
    let unreadable = || format!("cannot read {}", program.display());
    let mut start = [0; START];
    let mut file = File::open(program).or_environment(unreadable)?;
    match file.read_exact(&mut start) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error).or_environment(unreadable),
    }
    let machine = u16::from_le_bytes([start[18], start[19]]);
    if start.starts_with(b"#!") || (start.starts_with(ELF) && machine == AARCH64) {
        return Ok(());
    }
    if !start.starts_with(ELF) {
        let what = format!("{} is no program: neither ELF nor `#!`", program.display());
        return Err(Failure::new(Exit::Refused, what));
    }
    let name = if machine == X86_64 { ", x86-64" } else { "" };
    let what = format!(
        "{} is not built for the board: its ELF machine is {machine}{name}, the board's is \
         {AARCH64}, AArch64",
        program.display()
    );
    Err(Failure::new(Exit::Refused, what)
        .help("build it with `--target aarch64-unknown-linux-gnu`, or by `cargo bringup cargo`"))
}

/// The program that runs a script, which its first line names: execve(2). None for what is no script.
pub(crate) fn interpreter(program: &Path) -> Option<String> {
    let mut start = Vec::new();
    let file = File::open(program).ok()?;
    file.take(LONGEST_LINE).read_to_end(&mut start).ok()?;
    let line = start
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_this_pc_is_refused_before_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let check = |content: &[u8]| {
            let path = folder.path().join("program");
            std::fs::write(&path, content).unwrap();
            require_for_board(&path)
        };
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        elf[18] = 62;
        let refused = check(&elf).unwrap_err();
        assert!(refused.to_string().contains("machine is 62"), "{refused}");
        assert_eq!(refused.exit(), Exit::Refused);
        elf[18] = 183;
        assert!(check(&elf).is_ok());
        assert!(check(b"#!/bin/sh\necho a script\n").is_ok());
        let none = check(b"[package]\n").unwrap_err();
        assert!(none.to_string().contains("is no program"), "{none}");
    }

    #[test]
    fn a_scripts_interpreter_is_the_first_word_of_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            interpreter(&path)
        };
        assert_eq!(read(b"#!/bin/sh -e\nexit\n").as_deref(), Some("/bin/sh"));
        assert_eq!(read(b"#! /bin/a").as_deref(), Some("/bin/a"));
        assert_eq!(read(b"#!\n/bin/sh"), None);
        assert_eq!(read(b"\x7fELF/bin/sh"), None);
        assert_eq!(interpreter(Path::new("/nonexistent")), None);
    }
}
