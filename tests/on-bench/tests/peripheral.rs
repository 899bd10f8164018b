// SPDX-License-Identifier: MIT OR Apache-2.0

//! The DMA copy engine that the bench plays, as a board's kernel finds it on the bus.

use std::thread;
use std::time::{Duration, Instant};

use hil::{Agent, Bench};

/// The bench's name of it.
const NAME: &str = "dmacopy";

/// Vendor and device in the kernel's list of all functions.
const IDENTITY: &str = "1af410f0";

/// How long a board may take to see what was put in.
const SOON: Duration = Duration::from_secs(30);

/// The kernel's line on the function, if it is there: bus and device, identity, …
fn found(agent: &Agent) -> hil::Result<Option<String>> {
    let list = String::from_utf8(agent.read("/proc/bus/pci/devices")?)?;
    let mut lines = list.lines().map(str::to_owned);
    Ok(lines.find(|line| line.split('\t').nth(1) == Some(IDENTITY)))
}

/// The first bytes of the function's configuration space.
fn identity(agent: &Agent) -> hil::Result<Vec<u8>> {
    let line = found(agent)?.ok_or("the function is not there")?;
    let place = u16::from_str_radix(line.split('\t').next().unwrap_or_default(), 16)?;
    let (bus, device, function) = (place >> 8, (place >> 3) & 31, place & 7);
    let config = format!("/sys/bus/pci/devices/0000:{bus:02x}:{device:02x}.{function}/config");
    Ok(agent.read(&config)?[..4].to_vec())
}

fn state(bench: &Bench) -> hil::Result<String> {
    Ok(bench.instruct(NAME, "\"state\"")?)
}

#[hil::test(requires("dmacopy"))]
fn the_board_finds_what_the_bench_plays(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    assert_eq!(identity(&agent)?, [0xf4, 0x1a, 0xf0, 0x10]);
    let state = state(bench)?;
    assert!(state.contains("\"is_connected\":true"), "{state}");
    let refused = bench.instruct(NAME, "{\"fly\": true}").err();
    let refused = refused.ok_or("it can fly")?.to_string();
    assert!(
        refused.contains(NAME) && refused.contains("fly"),
        "{refused}"
    );
    Ok(())
}

#[hil::test(requires("dmacopy"))]
fn what_has_died_reads_all_ones_until_that_is_taken_back(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    bench.instruct(NAME, "{\"die\": true}")?;
    assert_eq!(identity(&agent)?, [0xff; 4]);
    bench.instruct(NAME, "\"clear\"")?;
    assert_eq!(identity(&agent)?, [0xf4, 0x1a, 0xf0, 0x10]);
    Ok(())
}

#[hil::test(requires("dmacopy"))]
fn a_peripheral_is_pulled_out_and_put_in_again(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    for round in 0..2 {
        assert!(found(&agent)?.is_some(), "round {round}");
        bench.unplug(NAME)?;
        assert_eq!(found(&agent)?, None, "round {round}");
        let gone = state(bench)?;
        assert!(gone.contains("\"is_connected\":false"), "{gone}");
        bench.plug(NAME)?;
        let deadline = Instant::now() + SOON;
        while found(&agent)?.is_none() {
            assert!(Instant::now() < deadline, "round {round}");
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(identity(&agent)?, [0xf4, 0x1a, 0xf0, 0x10]);
    }
    Ok(())
}

hil::main!();
