// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests that run on the PC and drive a board: `bringup with cargo test --features bench`.

use hil::Bench;

#[hil::test]
fn a_board_whose_power_was_cut_boots_again(bench: &mut Bench) -> hil::Result {
    let before = bench.agent()?.about().boot.clone();
    bench.cut_power()?;
    let after = bench.agent()?.about().boot.clone();
    assert_ne!(after, before);
    Ok(())
}

hil::main!();
