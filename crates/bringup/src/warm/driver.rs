// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps the driver on a warm board the one of the checkout.

use hil::{Bench, Error, State};

use crate::emulation::driver_on_board;
use crate::module::Built;

/// Puts the driver on the board, if it is another one there, and loads it anew.
pub(crate) fn bring_up_to_date(
    bench: &mut Bench,
    built: &Built,
    note: &dyn Fn(&str),
) -> Result<(), Error> {
    let agent = bench.agent()?;
    if !agent.about().is_init {
        return put_under_test(bench, built, note);
    }
    if !agent.put(&built.stripped, &driver_on_board(), &mut |_, _| {})? {
        return Ok(());
    }
    let restored = agent.restore(true)?;
    if restored.left.is_empty() {
        note("the driver has changed: it was loaded anew on the board");
        return Ok(());
    }
    // What has it in use, or what it did, only a boot ends.
    note("the driver has changed and could not be unloaded: the board is booted anew");
    bench.reach(State::Off)?;
    bench.reach(State::Ready)?;
    let agent = bench.agent()?;
    agent.put(&built.stripped, &driver_on_board(), &mut |_, _| {})?;
    agent.restore(true).map(drop)
}

/// Puts the driver on a board whose own system knows nothing of it, and loads it.
fn put_under_test(bench: &mut Bench, built: &Built, note: &dyn Fn(&str)) -> Result<(), Error> {
    let Err(error) = load_on_own_system(bench, built) else {
        return Ok(());
    };
    if !matches!(error, Error::Refused(_)) {
        return Err(error);
    }
    note(&format!("{error}; the board is booted anew"));
    bench.reach(State::Off)?;
    bench.reach(State::Ready)?;
    load_on_own_system(bench, built)
}

fn load_on_own_system(bench: &mut Bench, built: &Built) -> Result<(), Error> {
    let agent = bench.agent()?;
    let path = driver_on_board();
    agent.put(&built.stripped, &path, &mut |_, _| {})?;
    agent.put_under_test(vec![path])
}
