// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keeps the driver on a warm board the one of the checkout.

use hil::Bench;

use crate::emulation::driver_on_board;
use crate::module::Built;
use crate::progress::Progress;

/// Puts the driver on the board, if it is another one there, and loads it anew.
pub(super) fn bring_up_to_date(
    bench: &mut Bench,
    built: &Built,
    progress: &Progress,
) -> Result<(), hil::Error> {
    let agent = bench.agent()?;
    if !agent.put(&built.stripped, &driver_on_board(), &mut |_, _| {})? {
        return Ok(());
    }
    let restored = agent.restore(true)?;
    if restored.left.is_empty() {
        progress.note("the driver has changed: it was loaded anew on the board");
        return Ok(());
    }
    // What has it in use, or what it did, only a boot ends.
    progress.note("the driver has changed and could not be unloaded: the board is booted anew");
    bench.reach(hil::State::Off)?;
    bench.reach(hil::State::Ready)?;
    let agent = bench.agent()?;
    agent.put(&built.stripped, &driver_on_board(), &mut |_, _| {})?;
    agent.restore(true).map(drop)
}
