// SPDX-License-Identifier: MIT OR Apache-2.0

//! A DMA controller that the bench stops, seen by the driver whose engine is one of its channels.

use hil::{Agent, Bench};
use on_bench::{Call, call_with_memory};

const NODE: &str = "/dev/dmacopy0";

/// How much is moved: whole words, so that it is the controller that moves them.
const LENGTH: u32 = 64;

/// Sends bytes through the engine, and returns what comes back.
fn move_bytes(agent: &Agent, bytes: &[u8]) -> hil::Result<Vec<u8>> {
    let calls = [
        Call::open(NODE),
        Call::write_memory(3, 0, LENGTH),
        Call::read(3, LENGTH, LENGTH),
        // To standard output.
        Call::write_memory(1, LENGTH, LENGTH),
    ];
    let mut memory = bytes.to_vec();
    memory.resize(2 * bytes.len(), 0);
    call_with_memory(agent, &calls, &memory)
}

fn attribute(agent: &Agent, name: &str) -> hil::Result<String> {
    let path = format!("/sys/class/misc/dmacopy0/{name}");
    Ok(String::from_utf8(agent.read(&path)?)?.trim().to_owned())
}

#[hil::test(requires("dmaengine", "dma-off", "dma-on"), timeout = "2 min")]
fn a_controller_that_stands_still_is_reset_and_then_goes_on(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    let count = |name| -> hil::Result<u64> { Ok(attribute(&agent, name)?.parse()?) };
    let bytes: Vec<u8> = (1..).take(LENGTH as usize).collect();
    let processor = count("cpu_bytes")?;
    assert_eq!(move_bytes(&agent, &bytes)?, bytes);
    for _ in 0..3 {
        let errors = count("errors")?;
        bench.press("dma-off")?;
        let moved = move_bytes(&agent, &bytes);
        let failed = count("errors")? - errors;
        bench.press("dma-on")?;
        assert!(moved.is_err() && failed == 1, "{moved:?}, {failed} errors");
        // What it had then, it has forgotten.
        assert_eq!(move_bytes(&agent, &bytes)?, bytes);
        assert_eq!(attribute(&agent, "state")?, "running");
    }
    assert_eq!(count("cpu_bytes")?, processor);
    Ok(())
}

hil::main!();
