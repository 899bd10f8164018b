// SPDX-License-Identifier: GPL-2.0

//! The data of the module as a whole, for callbacks that are given no pointer to it.

use kernel::{
    prelude::*,
    sync::{
        Arc,
        SetOnce, //
    }, //
};

use crate::registry::Registry;

kernel::sync::global_lock! {
    // SAFETY: `publish` initializes the lock, and it is used after that only: by `current` if
    // `INITIALIZED` is set, and by `Published`, which only `publish` makes.
    unsafe(uninit) static DATA: Mutex<Option<Arc<Registry>>> = None;
}

static CLAIMED: SetOnce<()> = SetOnce::new();
static INITIALIZED: SetOnce<()> = SetOnce::new();

/// Makes `data` the module's data until the result is dropped; possible once per module load.
pub(crate) fn publish(data: Arc<Registry>) -> Result<Published> {
    if !CLAIMED.populate(()) {
        return Err(EBUSY);
    }
    // SAFETY: This runs once, because `CLAIMED` can be populated only once. Nobody has used the
    // lock before, because `INITIALIZED` is not set yet.
    unsafe { DATA.init() };
    INITIALIZED.populate(());

    *DATA.lock() = Some(data);
    Ok(Published(()))
}

/// The module's data, if there is any now.
pub(crate) fn current() -> Option<Arc<Registry>> {
    INITIALIZED.as_ref()?;
    DATA.lock().clone()
}

/// The module has data as long as this exists.
pub(crate) struct Published(());

impl Drop for Published {
    fn drop(&mut self) {
        let data = DATA.lock().take();
        // With the lock released.
        drop(data);
    }
}
