// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tasks that wait for a queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The tasks that wait for anything of a queue. When something happens all of them are woken, and
/// look whether it was for them: so it does no harm when one of them goes instead of looking.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    wakers: HashMap<u64, Waker>,
    #[cfg(feature = "tokio")]
    next: u64,
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all of them.
    pub(crate) fn wake_all(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        // With nothing locked: what is woken may look at once.
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

/// A task that waits, or will. It waits no more when this is dropped.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct Ticket {
    tasks: Arc<Tasks>,
    number: u64,
}

#[cfg(feature = "tokio")]
impl Ticket {
    /// For one task.
    pub(crate) fn new(tasks: &Arc<Tasks>) -> Self {
        let mut waiting = tasks.lock();
        let number = waiting.next;
        waiting.next += 1;
        drop(waiting);
        let tasks = Arc::clone(tasks);
        Self { tasks, number }
    }

    /// Has the task woken. It looks after that, so that it misses nothing.
    pub(crate) fn wait(&self, waker: &Waker) {
        let mut waiting = self.tasks.lock();
        let old = waiting.wakers.insert(self.number, waker.clone());
        drop(waiting);
        drop(old);
    }
}

#[cfg(feature = "tokio")]
impl Drop for Ticket {
    fn drop(&mut self) {
        let old = self.tasks.lock().wakers.remove(&self.number);
        drop(old);
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_once_and_nothing_is_left_of_who_goes() {
        let tasks = Arc::default();
        let counted: [Arc<Counted>; 2] = Default::default();
        let [stays, goes] = [(); 2].map(|()| Ticket::new(&tasks));
        for (ticket, counted) in [&stays, &goes].into_iter().zip(&counted) {
            // Once more replaces what was there.
            (0..2).for_each(|_| ticket.wait(&Waker::from(Arc::clone(counted))));
        }
        assert_eq!(tasks.lock().wakers.len(), 2);
        drop(goes);
        assert_eq!(tasks.lock().wakers.len(), 1);
        assert_eq!(Arc::strong_count(&counted[1]), 1, "its waker is kept");
        (0..2).for_each(|_| tasks.wake_all());
        let woken = counted.map(|counted| counted.0.load(Ordering::Relaxed));
        assert_eq!(woken, [1, 0]);
        drop(stays);
    }
}
