// SPDX-License-Identifier: GPL-2.0

//! Data that can be read in any context, because RCU protects it.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

use core::ptr;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        rcu, //
    }, //
};

use super::compat::synchronize_rcu;

/// Perhaps a value, which is replaced as a whole.
///
/// # Invariants
///
/// The pointer is null or comes from a `KBox<T>` that is owned by this. What it has pointed to is
/// not freed before a grace period has passed.
pub(crate) struct RcuOption<T>(Atomic<*mut T>);

// SAFETY: A value is dropped on another thread than it was made on.
unsafe impl<T: Send + Sync> Send for RcuOption<T> {}
// SAFETY: A value is dropped on another thread than it was made on, and shared references to it are
// given to many threads.
unsafe impl<T: Send + Sync> Sync for RcuOption<T> {}

impl<T: Send + Sync> RcuOption<T> {
    /// No value.
    pub(crate) const fn none() -> Self {
        // INVARIANT: The pointer is null.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// Whether there is none just now.
    pub(crate) fn is_none(&self) -> bool {
        self.0.load(Relaxed).is_null()
    }

    /// The value, for as long as the read-side lock is held.
    #[doc(alias = "rcu_dereference")]
    pub(crate) fn read<'a>(&'a self, _guard: &'a rcu::Guard) -> Option<&'a T> {
        let value = self.0.load(Acquire);
        // SAFETY: By the type invariants, the pointer is null or that of a `T`, whose initialization
        // is visible because of `Acquire`. It is not freed before a grace period has passed, which
        // cannot happen while the guard exists. Nobody has a mutable reference to it.
        unsafe { value.as_ref() }
    }

    /// Replaces the value, and drops the one that was there when nobody reads it any more.
    ///
    /// Called in process context, with no lock held that a reader may wait for.
    #[doc(alias = "rcu_replace_pointer")]
    pub(crate) fn replace(&self, value: Option<KBox<T>>) {
        let value = value.map_or(ptr::null_mut(), KBox::into_raw);
        // INVARIANT: The pointer is null or comes from a `KBox` that has been given to us.
        let old = self.0.xchg(value, Full);
        if old.is_null() {
            return;
        }
        synchronize_rcu();
        // SAFETY: By the type invariants, it comes from a `KBox`, which nobody else has taken back:
        // `xchg` gives it to one caller. Who has read it before that has left the read side.
        drop(unsafe { KBox::from_raw(old) });
    }
}

impl<T> Drop for RcuOption<T> {
    fn drop(&mut self) {
        let value = self.0.load(Acquire);
        if !value.is_null() {
            // SAFETY: By the type invariants, it comes from a `KBox` that this owns. Nobody reads it:
            // a reader has `self` borrowed.
            drop(unsafe { KBox::from_raw(value) });
        }
    }
}
