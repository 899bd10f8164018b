// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory that goes while it is mapped, in a program that goes on.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{self, Command};

use kernel_channels::mmap::{Mapping, gone};

/// How this program learns that it is to be sent a signal.
const ROLE: &str = "GONE_ROLE";

#[test]
fn what_was_cut_off_is_zero_and_can_be_written_and_the_rest_is_as_it_was() {
    // Of a multiple of any page's size.
    const BYTES: usize = 64 << 10;
    gone::replace_by_zeroes().unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(2 * BYTES as u64).unwrap();
    let mut mapping = Mapping::map(&file, 0, 2 * BYTES).unwrap();
    mapping.fill(0, 2 * BYTES, 0xee).unwrap();
    file.set_len(BYTES as u64).unwrap();
    assert_eq!(mapping.copy_to_vec(BYTES, BYTES).unwrap(), [0; BYTES]);
    assert_eq!(mapping.copy_to_vec(0, BYTES).unwrap(), [0xee; BYTES]);
    mapping.write(BYTES, b"to nobody").unwrap();
    assert_eq!(mapping.copy_to_vec(BYTES, 9).unwrap(), b"to nobody");
    mapping.write(0, b"to the file").unwrap();
    let other = Mapping::map(&file, 0, BYTES).unwrap();
    assert_eq!(other.copy_to_vec(0, 11).unwrap(), b"to the file");
    assert_eq!(file.metadata().unwrap().len(), BYTES as u64);
}

#[test]
fn a_signal_that_somebody_sent_ends_the_program_all_the_same() {
    let name = "a_signal_that_somebody_sent_ends_the_program_all_the_same";
    if env::var_os(ROLE).is_some() {
        gone::replace_by_zeroes().unwrap();
        let own = process::id().to_string();
        Command::new("kill").args(["-BUS", &own]).status().unwrap();
        return;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    let child = child.args(["--exact", name]).env(ROLE, "child");
    let end = child.output().unwrap().status;
    // A signal of which the handler made nothing would let it end by itself.
    assert_eq!(end.signal(), Some(7), "{end}");
}
