// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files that go to the board and come back.

use hil::{Bench, Error};
use on_bench::{Call, call_on_board};
use sha2::{Digest, Sha256};

/// 1 MiB in which no two parts are the same.
fn content() -> Vec<u8> {
    let hashes = (0..32_768_u32).map(|n| Sha256::digest(n.to_le_bytes()));
    hashes.flatten().collect()
}

// Over a serial port this takes half a minute.
#[hil::test(timeout = "2 min")]
fn a_mebibyte_comes_back_as_it_went(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    let sent = content();
    assert_eq!(sent.len(), 1 << 20);
    agent.write("/tmp/mebibyte", &sent)?;
    let received = agent.read("/tmp/mebibyte")?;
    assert_eq!(Sha256::digest(&received), Sha256::digest(&sent));
    Ok(())
}

#[hil::test]
fn a_full_disk_is_told_and_nothing_is_left_of_the_file(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    let point = "/tmp/small";
    // Its folder is made for a file.
    agent.write("/tmp/small/below", b"")?;
    call_on_board(&agent, &[Call::mount_tmpfs(point, "size=64k")])?;
    let path = "/tmp/small/file";
    let result = agent.write(path, &content()[..256 << 10]);
    let left = agent.read(path);
    // What was left of the file would take the room of this one.
    let room = agent.write("/tmp/small/other", &content()[..48 << 10]);
    call_on_board(&agent, &[Call::unmount(point)])?;
    let error = result
        .err()
        .ok_or("256 KiB were written to a disk of 64 KiB")?;
    let told = error.to_string();
    assert!(
        matches!(error, Error::Refused(_) | Error::Trouble(_)),
        "{error:?}"
    );
    assert!(told.contains(path), "{told}");
    assert!(told.contains("No space left on device"), "{told}");
    assert!(left.is_err(), "{} bytes are there", left?.len());
    room?;
    Ok(())
}

hil::main!();
