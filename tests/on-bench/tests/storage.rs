// SPDX-License-Identifier: MIT OR Apache-2.0

//! The card or disk that a board boots from, written by the bench.

use hil::{Agent, Bench};
use on_bench::{Call, call_with_memory};

/// What the kernel calls the first card, and the first disk.
const DEVICES: [&str; 2] = ["/dev/mmcblk0", "/dev/vda"];

/// How much of it is looked at, in bytes.
const LENGTH: u32 = 64 << 10;

/// What no two parts of which are the same, nor that of another seed.
fn content(seed: u32) -> Vec<u8> {
    let numbers = (0..LENGTH / 4).map(|n| (n ^ seed).wrapping_mul(0x9E37_79B1));
    numbers.flat_map(u32::to_le_bytes).collect()
}

/// The beginning of the board's storage, as the board reads it.
fn read(agent: &Agent) -> hil::Result<Vec<u8>> {
    let mut told = None;
    for device in DEVICES {
        let calls = [
            Call::open(device),
            Call::read(3, 0, LENGTH),
            Call::write_memory(1, 0, LENGTH),
        ];
        match call_with_memory(agent, &calls, &[0; LENGTH as usize]) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => told = Some(error),
        }
    }
    Err(told.ok_or("the board has no storage")?)
}

#[hil::test(requires("storage"), timeout = "2 min")]
fn what_the_bench_writes_the_board_reads_and_what_the_board_writes_stays(
    bench: &mut Bench,
) -> hil::Result {
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("card.img");
    for seed in [1, 2] {
        std::fs::write(&image, content(seed))?;
        bench.write_storage(&image)?;
        assert_eq!(read(&bench.agent()?)?, content(seed));
    }
    // An image that there is not leaves the storage as it was.
    let missing = bench.write_storage(&folder.path().join("no.img"));
    let told = missing.err().ok_or("there is no such image")?.to_string();
    assert!(told.contains("no.img"), "{told}");
    let agent = bench.agent()?;
    let device = DEVICES.into_iter().find(|device| {
        let word = [
            Call::open(device),
            Call::write(3, "written by the board"),
            Call::sync(3),
        ];
        call_with_memory(&agent, &word, &[]).is_ok()
    });
    device.ok_or("the board cannot write its storage")?;
    bench.cut_power()?;
    let now = read(&bench.agent()?)?;
    assert!(now.starts_with(b"written by the board"));
    assert_eq!(now[20..], content(2)[20..]);
    Ok(())
}

hil::main!();
