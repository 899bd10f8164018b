// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board's states, seen from the PC.

use hil::{Bench, State};
use on_bench::{boots_again, program};

#[hil::test(requires("power"))]
fn a_power_cycle_is_another_boot(bench: &mut Bench) -> hil::Result {
    let before = bench.agent()?.about().boot.clone();
    assert_eq!(bench.state()?, State::Ready);
    bench.reach(State::Off)?;
    assert_eq!(bench.state()?, State::Off);
    bench.reach(State::Booting)?;
    assert_eq!(bench.state()?, State::Booting);
    bench.reach(State::Ready)?;
    boots_again(bench, &before)
}

#[hil::test]
fn a_board_that_is_ready_is_not_booted_again(bench: &mut Bench) -> hil::Result {
    let before = bench.agent()?.about().boot.clone();
    bench.reach(State::Ready)?;
    assert_eq!(bench.agent()?.about().boot, before);
    Ok(())
}

#[hil::test]
fn a_program_runs_on_the_board_of_a_test_on_the_pc(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    // The agent's own file, by which it is every other program of the kit too.
    let output = agent
        .start(program(&["/proc/1/exe", "--version"]))?
        .output()?;
    assert!(output.success(), "{output:?}");
    let expected = format!("bringup-target {}\n", agent.about().version);
    assert_eq!(String::from_utf8(output.stdout)?, expected);
    Ok(())
}

hil::main!();
