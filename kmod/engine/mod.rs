// SPDX-License-Identifier: GPL-2.0

//! What moves the bytes: one file per engine, all of them behind [`Engine`].

use kernel::{
    prelude::*,
    seq_file::SeqFile, //
};

mod dmaengine;
mod faults;
mod pci;
mod software;

pub(crate) use self::{
    dmaengine::DmaEngine,
    faults::Faults,
    pci::{
        Coalescing,
        Function,
        Pci, //
    },
    software::Software, //
};

use crate::sys::compat;

/// An engine takes transfers from the [`Queue`](crate::queue::Queue) that it was made for, as many
/// at a time as it likes, moves their bytes, and completes them.
///
/// It takes and completes in process context, with none of its locks held that [`Self::start`]
/// takes. It moves the transfers of one session in the order in which it has taken them. It accesses
/// the memory of a transfer only until it completes it.
pub(crate) trait Engine: Send + Sync {
    /// The engine's number in the ABI, one of the `ENGINE_` constants.
    fn id(&self) -> u32;

    /// The engine's name in the ABI.
    fn name(&self) -> &'static str;

    /// The longest transfer that the engine takes, in bytes.
    fn max_transfer_bytes(&self) -> u64;

    /// The faults that the engine can be made to have, if it can.
    fn faults(&self) -> Option<&Faults> {
        None
    }

    /// Makes the engine look at the queue.
    ///
    /// Called with the queue locked, so the looking has to happen elsewhere.
    fn start(&self);

    /// Completes what is done although nothing has told the engine so, an interrupt that was lost
    /// for example. Returns how many transfers that were.
    ///
    /// Called when something takes too long.
    fn poll(&self) -> usize {
        0
    }

    /// Forgets all transfers that the engine has taken, and makes it ready to go on.
    ///
    /// When this returns, whatever it returns, the engine accesses no memory of a transfer and
    /// completes none. It takes none meanwhile: the queue gives none. An error means that the
    /// hardware does not obey; then this is called again now and then, until it does.
    fn reset(&self) -> Result;

    /// Waits until the engine accesses no memory and runs no code any more. It may forget what it
    /// has taken.
    ///
    /// Called after the queue has been closed, so that nothing is started afterwards.
    fn quiesce(&self);

    /// When the hardware tells of completions.
    fn coalescing(&self) -> Coalescing {
        Coalescing::default()
    }

    /// Changes that, if the hardware can do so.
    fn change_coalescing(&self, _change: &dyn Fn(Coalescing) -> Coalescing) -> Result {
        Err(compat::EOPNOTSUPP)
    }

    /// Prints the registers of the hardware, if it has any.
    fn show_registers(&self, _file: &SeqFile) {}
}
