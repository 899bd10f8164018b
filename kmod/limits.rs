// SPDX-License-Identifier: GPL-2.0

//! How much of a device its sessions may have, so that none can exhaust it.
//!
//! Memory is charged for before it is allocated, to the session and to the device, by an
//! [`Account`]; the [`Charge`] goes along with the memory and is given back when it is dropped.

use core::ops::RangeInclusive;

use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

/// What the limits on memory can be, in bytes.
const BYTES: RangeInclusive<usize> = PAGE_SIZE..=1 << 30;
/// What the limits on sessions and on transfers can be.
const COUNT: RangeInclusive<usize> = 1..=65_536;

/// A limit that can be changed at any time. What exceeds a new one stays.
pub(crate) struct Limit {
    value: Atomic<usize>,
    range: RangeInclusive<usize>,
}

impl Limit {
    const fn new(value: usize, range: RangeInclusive<usize>) -> Self {
        Self {
            value: Atomic::new(value),
            range,
        }
    }

    /// The limit now.
    pub(crate) fn get(&self) -> usize {
        self.value.load(Relaxed)
    }

    /// Changes the limit.
    pub(crate) fn set(&self, value: usize) -> Result {
        if !self.range.contains(&value) {
            return Err(EINVAL);
        }
        self.value.store(value, Relaxed);
        Ok(())
    }
}

/// The limits of a device, and what is in use of its memory.
pub(crate) struct Limits {
    /// Sessions that can be open at the same time.
    pub(crate) sessions: Limit,
    /// Bytes of DMA memory that all sessions together can have.
    pub(crate) device_bytes: Limit,
    /// Bytes of DMA memory that one session can have.
    pub(crate) session_bytes: Limit,
    /// Transfers that one session can have under way.
    pub(crate) session_transfers: Limit,
    used_bytes: Atomic<usize>,
}

impl Limits {
    /// The limits that a device begins with.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                sessions: Limit::new(256, COUNT),
                device_bytes: Limit::new(64 << 20, BYTES),
                session_bytes: Limit::new(16 << 20, BYTES),
                session_transfers: Limit::new(4096, COUNT),
                used_bytes: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// Bytes of DMA memory that all sessions together are charged for.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Relaxed)
    }
}

/// What one session is charged for.
pub(crate) struct Account {
    limits: Arc<Limits>,
    used_bytes: Atomic<usize>,
}

impl Account {
    /// The account of a session that has nothing yet.
    pub(crate) fn new(limits: &Arc<Limits>) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                limits: limits.clone(),
                used_bytes: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// Bytes of DMA memory that the session is charged for.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Relaxed)
    }

    /// Charges for `bytes` bytes of DMA memory, which are about to be allocated.
    ///
    /// Fails with `ENOMEM` when that is more than the session or the device may have.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge> {
        raise(&self.used_bytes, bytes, self.limits.session_bytes.get())?;
        raise(
            &self.limits.used_bytes,
            bytes,
            self.limits.device_bytes.get(),
        )
        .inspect_err(|_| lower(&self.used_bytes, bytes))?;
        // Both have been raised; dropping this lowers them.
        Ok(Charge {
            account: self.clone(),
            bytes,
        })
    }
}

/// Memory that a session and its device are charged for, until this is dropped.
#[must_use = "the charge is given back at once when this is dropped"]
pub(crate) struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        lower(&self.account.limits.used_bytes, self.bytes);
        lower(&self.account.used_bytes, self.bytes);
    }
}

/// Adds `bytes` to `used` unless that would make it more than `limit`.
fn raise(used: &Atomic<usize>, bytes: usize, limit: usize) -> Result {
    let mut seen = used.load(Relaxed);
    loop {
        let raised = seen
            .checked_add(bytes)
            .filter(|raised| *raised <= limit)
            .ok_or(ENOMEM)?;
        match used.cmpxchg(seen, raised, Relaxed) {
            Ok(_) => return Ok(()),
            Err(other) => seen = other,
        }
    }
}

/// Takes `bytes` off `used`, which have been added before.
fn lower(used: &Atomic<usize>, bytes: usize) {
    used.fetch_sub(bytes, Relaxed);
}
