// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board's states, seen from the PC.

use hil::{Bench, State};
use on_bench::{Call, boots_again, call_on_board, gpio, program, start_calls};

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

#[hil::test]
fn what_a_user_leaves_behind_is_gone_for_the_next(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    // One that would wait for ever.
    let waits = gpio::ready(start_calls(
        &agent,
        &[Call::write(1, "ready"), Call::read(0, 0, 1)],
        &[0],
    )?)?;
    if agent.about().is_init {
        // A mount in a mount, a file in a temporary folder, a node.
        agent.write("/tmp/left/below", b"")?;
        call_on_board(&agent, &[Call::mount_tmpfs("/tmp/left", "size=64k")])?;
        agent.write("/tmp/left/inner/below", b"")?;
        call_on_board(&agent, &[Call::mount_tmpfs("/tmp/left/inner", "size=64k")])?;
        agent.write("/tmp/file", b"left")?;
        call_on_board(&agent, &[Call::make_null("/dev/left")])?;
    }
    let before = agent.read("/proc/mounts").unwrap_or_default();
    let restored = agent.restore(false)?;
    assert!(restored.left.is_empty(), "{:?}", restored.left);
    let told = |what: &str| restored.done.iter().any(|done| done.contains(what));
    let ended = waits.output()?.ended;
    assert_eq!((ended.signal, ended.timed_out), (Some(9), false));
    if agent.about().is_init {
        for what in ["/tmp/left", "/tmp/left/inner", "/tmp/file", "/dev/left"] {
            assert!(told(&format!("{what} was ")), "{what}: {:?}", restored.done);
            let opened = call_on_board(&agent, &[Call::open(what)]);
            assert!(opened.is_err(), "{what} is there");
        }
        let mounts = agent.read("/proc/mounts")?;
        assert!(!String::from_utf8_lossy(&mounts).contains("/tmp/left"));
        assert!(String::from_utf8_lossy(&before).contains("/tmp/left/inner"));
    }
    // Once more there is nothing to do, after what the looking has left.
    agent.restore(false)?;
    assert_eq!(agent.restore(false)?.done, [""; 0]);
    Ok(())
}

hil::main!();
