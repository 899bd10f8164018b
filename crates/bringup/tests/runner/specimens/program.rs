// SPDX-License-Identifier: MIT OR Apache-2.0

//! Does what its first word says.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match words[0].as_str() {
        "code" => return words[1].parse::<u8>().unwrap().into(),
        "crash" => crash(),
        "echo" => echo(),
        "copy" => copy(),
        "transfers" => print!(
            "{}",
            fs::read_to_string("/sys/class/misc/dmacopy0/transfers").unwrap()
        ),
        "boot" => print!(
            "{}",
            fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap()
        ),
        "variables" => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        other => panic!("what is {other}?"),
    }
    ExitCode::SUCCESS
}

/// Reads where nothing is: a reference is overwritten from outside of the language.
fn crash() {
    let byte: &u8 = black_box(&1);
    let place = black_box(&byte) as *const _ as usize as u64;
    let memory = File::options().write(true).open("/proc/self/mem").unwrap();
    memory.write_all_at(&16_usize.to_ne_bytes(), place).unwrap();
    println!("{}", black_box(&byte));
}

/// Has the driver's engine copy a few bytes.
fn copy() {
    let mut node = File::options();
    let mut node = node.read(true).write(true).open("/dev/dmacopy0").unwrap();
    node.write_all(b"bytes").unwrap();
    let mut received = [0; 5];
    node.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"bytes");
}

/// Says what it hears, line by line.
fn echo() {
    println!("ready");
    for line in std::io::stdin().lines() {
        println!("heard {}", line.unwrap());
        std::io::stdout().flush().unwrap();
    }
    println!("end");
}
