// SPDX-License-Identifier: MIT OR Apache-2.0

//! What has been submitted and has no completion yet, by its `user_data`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::Work;
use crate::memory::GONE;

/// Where the work of one batch comes back to.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<VecDeque<Ended>>);

/// Work that has ended, with its error number.
pub(crate) type Ended = (Work, Option<i32>);

impl Inbox {
    /// What has come back, in order.
    pub(crate) fn lock(&self) -> MutexGuard<'_, VecDeque<Ended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that the device owns.
///
/// A completion is there for each descriptor, in the order of the descriptors. So `user_data` counts
/// them, and what comes has to be the number of the first.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// Whoever waited for it may have gone.
    works: VecDeque<(Work, Weak<Inbox>)>,
    /// The number of the first.
    first: u64,
}

impl Flight {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.works.len()
    }

    /// The number of the completion that has to come next, if one has.
    pub(crate) fn first(&self) -> Option<u64> {
        (!self.works.is_empty()).then_some(self.first)
    }

    /// The number of the one that is added next.
    pub(crate) fn next(&self) -> u64 {
        self.first.wrapping_add(self.works.len() as u64)
    }

    /// Adds work, which will come back to an inbox.
    pub(crate) fn add(&mut self, work: Work, inbox: &Arc<Inbox>) {
        self.works.push_back((work, Arc::downgrade(inbox)));
    }

    /// Takes back what has been added last, in order.
    pub(crate) fn retract(&mut self, count: usize) -> impl Iterator<Item = Work> {
        let kept = self.works.len().saturating_sub(count);
        self.works.split_off(kept).into_iter().map(|(work, _)| work)
    }

    /// The completion with this `user_data` is there. What nobody waits for is free again. False
    /// when that is not the one that had to come.
    pub(crate) fn complete(&mut self, user_data: u64, errno: Option<i32>) -> bool {
        if user_data != self.first {
            return false;
        }
        let Some((work, inbox)) = self.works.pop_front() else {
            return false;
        };
        self.first = self.first.wrapping_add(1);
        if let Some(inbox) = inbox.upgrade() {
            inbox.lock().push_back((work, errno));
        }
        true
    }

    /// The device has gone, and touches nothing any more.
    pub(crate) fn end(&mut self) {
        while self.complete(self.first, Some(GONE)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(inbox: &Inbox) -> Vec<Option<i32>> {
        inbox.lock().drain(..).map(|(_, errno)| errno).collect()
    }

    #[test]
    fn each_batch_gets_what_is_its_own() {
        let mut flight = Flight::default();
        let [one, other] = [(); 2].map(|()| Arc::new(Inbox::default()));
        for (number, inbox) in [&one, &other, &one].into_iter().enumerate() {
            assert_eq!(flight.next(), number as u64);
            flight.add(Work::Nop, inbox);
        }
        assert!(flight.complete(0, Some(5)));
        assert!(flight.complete(1, None));
        assert_eq!((ended(&one), ended(&other)), (vec![Some(5)], vec![None]));
        assert!(flight.complete(2, None));
        assert_eq!((ended(&one), flight.len()), (vec![None], 0));
    }

    #[test]
    fn a_completion_out_of_its_turn_ends_nothing() {
        let mut flight = Flight::default();
        let inbox = Arc::new(Inbox::default());
        assert!(!flight.complete(0, None));
        flight.add(Work::Nop, &inbox);
        flight.add(Work::Nop, &inbox);
        for user_data in [1, 2, u64::MAX] {
            assert!(!flight.complete(user_data, None));
        }
        assert_eq!((ended(&inbox), flight.len()), (vec![], 2));
        assert!(flight.complete(0, None));
        assert!(!flight.complete(0, None), "twice");
    }

    #[test]
    fn what_is_taken_back_was_added_last() {
        let mut flight = Flight::default();
        let inbox = Arc::new(Inbox::default());
        (0..5).for_each(|_| flight.add(Work::Nop, &inbox));
        assert_eq!(flight.retract(2).count(), 2);
        assert_eq!((flight.len(), flight.next()), (3, 3));
    }

    #[test]
    fn what_nobody_waits_for_is_dropped_in_its_turn() {
        let mut flight = Flight::default();
        let inbox = Arc::new(Inbox::default());
        flight.add(Work::Nop, &Arc::default());
        flight.add(Work::Nop, &inbox);
        assert_eq!(flight.len(), 2, "it is still the device's");
        assert!(flight.complete(0, None) && flight.complete(1, None));
        assert_eq!(ended(&inbox), [None]);
    }

    #[test]
    fn a_device_that_goes_gives_all_back() {
        let mut flight = Flight::default();
        let inbox = Arc::new(Inbox::default());
        (0..3).for_each(|_| flight.add(Work::Nop, &inbox));
        assert!(flight.complete(0, None));
        flight.end();
        assert_eq!(ended(&inbox), [None, Some(GONE), Some(GONE)]);
        assert_eq!(flight.next(), 3);
    }
}
