// SPDX-License-Identifier: MIT OR Apache-2.0

//! Boards that are lost: each loss is told for what it is, soon, and the bench boots again.

use std::time::Instant;

use hil::server::TroubleKind;
use hil::{Bench, Error};
use on_bench::{Call, LOSS, boots_again, call_on_board, press_sysrq};

#[hil::test(
    requires("console", "power"),
    provokes("Kernel panic - not syncing: sysrq triggered crash")
)]
fn a_kernel_panic_is_told_with_what_the_console_said(bench: &mut Bench) -> hil::Result {
    let before = bench.agent()?.about().boot.clone();
    let mark = bench.mark()?;
    let begun = Instant::now();
    let error = press_sysrq(bench, "c")?;
    assert!(begun.elapsed() < LOSS, "told after {:?}", begun.elapsed());
    let told = error.to_string();
    assert!(told.contains("the kernel panicked: "), "{told}");
    assert!(told.contains("sysrq triggered crash"), "{told}");
    let Error::Trouble(trouble) = &error else {
        return Err(format!("{error:?} does not come from the bench").into());
    };
    let is_panic = |line: &str| line.contains("Kernel panic - not syncing");
    assert!(
        trouble.evidence.iter().any(|line| is_panic(line)),
        "{trouble:?}"
    );
    let console = bench.console(mark)?;
    assert!(
        console.iter().any(|line| is_panic(&line.text)),
        "{console:?}"
    );
    boots_again(bench, &before)
}

#[hil::test]
fn a_board_that_restarts_by_itself_is_lost_and_not_hung(bench: &mut Bench) -> hil::Result {
    let before = bench.agent()?.about().boot.clone();
    let begun = Instant::now();
    let error = press_sysrq(bench, "b")?;
    assert!(begun.elapsed() < LOSS, "told after {:?}", begun.elapsed());
    let told = error.to_string();
    assert!(!told.contains("panicked"), "{told}");
    match &error {
        Error::Lost { .. } | Error::Unconnected => {}
        Error::Trouble(trouble) if trouble.kind == TroubleKind::Bench => {}
        other => return Err(format!("{other:?} is no loss").into()),
    }
    boots_again(bench, &before)
}

#[hil::test(requires("freeze"))]
fn a_board_that_hangs_is_lost_by_its_silence(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    let before = agent.about().boot.clone();
    bench.press("freeze")?;
    let begun = Instant::now();
    let error = agent
        .read("/proc/uptime")
        .err()
        .ok_or("a board that stands still answers")?;
    assert!(
        begun.elapsed() < LOSS + LOSS / 4,
        "told after {:?}",
        begun.elapsed()
    );
    let told = bench.explain(error).to_string();
    assert!(told.contains("silent"), "{told}");
    boots_again(bench, &before)
}

#[hil::test(requires("power"))]
fn an_agent_that_is_killed_is_back(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    let (is_init, before) = (agent.about().is_init, agent.about().boot.clone());
    let killed = call_on_board(&agent, &[Call::parent(), Call::signal_it(9)]);
    if is_init {
        // kill(2): init gets no signal that it has no handler for.
        return killed;
    }
    killed.err().ok_or("an agent that was killed answers")?;
    // A board that has been lost is switched off and on.
    boots_again(bench, &before)
}

#[hil::test(requires("cable"), timeout = "2 min")]
fn a_cable_that_is_pulled_in_the_middle_of_a_transfer_delays_it(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    let before = agent.about().boot.clone();
    let sent = noise(256 << 10);
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("much");
    std::fs::write(&local, &sent)?;
    let (tell, far_enough) = std::sync::mpsc::channel();
    std::thread::scope(|scope| -> hil::Result {
        let bench = &*bench;
        let pulls = scope.spawn(move || match far_enough.recv() {
            Ok(()) => bench.press("cable").map_err(|error| error.to_string()),
            Err(_) => Err("the transfer has ended before the cable was pulled".to_owned()),
        });
        let put = agent.put(&local, "/tmp/much", &mut move |here, _| {
            if here > 32 << 10 {
                // It is pulled once.
                let _ = tell.send(());
            }
        });
        pulls.join().map_err(|_| "nobody pulled the cable")??;
        put?;
        Ok(())
    })?;
    assert_eq!(agent.read("/tmp/much")?, sent);
    assert_eq!(bench.agent()?.about().boot, before);
    Ok(())
}

#[hil::test(requires("power"))]
fn power_that_is_cut_in_the_middle_of_a_transfer_ends_it(bench: &mut Bench) -> hil::Result {
    let agent = bench.agent()?;
    let before = agent.about().boot.clone();
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("much");
    // More than all buffers in between hold, and nothing that can be deflated.
    std::fs::write(&local, noise(16 << 20))?;
    let mut cut = None;
    let result = agent.put(&local, "/tmp/much", &mut |here, _| {
        if here > 64 << 10 && cut.is_none() {
            cut = Some((Instant::now(), bench.cut_power()));
        }
    });
    let (when, done) = cut.ok_or("the transfer has ended before the power was cut")?;
    done?;
    assert!(when.elapsed() < LOSS, "told after {:?}", when.elapsed());
    match result {
        Err(Error::Lost { .. } | Error::Unconnected | Error::Trouble(_)) => {}
        other => return Err(format!("the transfer ended with {other:?}").into()),
    }
    boots_again(bench, &before)
}

/// So many bytes in which there is no order (xorshift64*).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let numbers = std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    });
    let bytes = numbers.flat_map(|number| (number >> 32).to_le_bytes()[..4].to_vec());
    bytes.take(length).collect()
}

hil::main!();
