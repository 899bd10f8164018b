// SPDX-License-Identifier: GPL-2.0

//! What of one session waits for the engine.
//!
//! Each session has a lane, first in, first out. Lanes in which something waits take turns: in its
//! turn a lane gives so many bytes to the engine ([`TURN_BYTES`]), then the next one follows. A
//! transfer that is longer than that waits for more than one turn (deficit round robin; M. Shreedhar
//! and G. Varghese, 1995).

use core::cmp::max;

use kernel::{
    list::{
        impl_list_arc_safe,
        impl_list_item,
        AtomicTracker,
        List,
        ListArc,
        ListLinks,
        TryNewListArc, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        LockedBy,
        Mutex, //
    }, //
};

use crate::{
    queue::Inner,
    transfer::Transfer, //
};

/// How many bytes a lane may give to the engine in one turn.
const TURN_BYTES: usize = 64 << 10;
/// What a short transfer counts as, since the engine has work with each one.
const LEAST_BYTES: usize = 4 << 10;

/// The transfers of one session that wait.
#[pin_data]
pub(crate) struct Lane {
    state: LockedBy<State, Inner>,
    /// Transfers that have a [`Place`].
    in_flight: Atomic<usize>,
    #[pin]
    links: ListLinks,
    /// Whether it is among those that take turns.
    #[pin]
    tracker: AtomicTracker,
}

struct State {
    waiting: List<Transfer>,
    /// What is left of its turn.
    bytes_left: usize,
}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Lane { tracked_by tracker: AtomicTracker; }
}

impl_list_item! {
    impl ListItem<0> for Lane { using ListLinks { self.links }; }
}

impl Lane {
    /// An empty lane of the queue with this state.
    pub(crate) fn new(queue: &Mutex<Inner>) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                state: LockedBy::new(
                    queue,
                    State {
                        waiting: List::new(),
                        bytes_left: 0,
                    }
                ),
                in_flight: Atomic::new(0),
                links <- ListLinks::new(),
                tracker <- AtomicTracker::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Transfers of the lane that are under way, or about to be submitted.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// A place for one more transfer, or `EBUSY` if there are `most` under way.
    pub(crate) fn admit(self: &Arc<Self>, most: usize) -> Result<Place> {
        let mut seen = self.in_flight();
        while seen < most {
            match self.in_flight.cmpxchg(seen, seen + 1, Relaxed) {
                Ok(_) => return Ok(Place(self.clone())),
                Err(other) => seen = other,
            }
        }
        Err(EBUSY)
    }

    /// The transfers that wait, in order.
    pub(crate) fn waiting<'a>(&'a self, queue: &'a mut Inner) -> &'a mut List<Transfer> {
        &mut self.state.access_mut(queue).waiting
    }
}

/// One of those that a lane may have under way, until this is dropped.
#[must_use = "the place is given up at once when this is dropped"]
pub(crate) struct Place(Arc<Lane>);

impl Place {
    /// The lane.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// The lanes that take turns: all in which something waits, and perhaps some in which nothing does
/// any more.
pub(crate) struct Turns(List<Lane>);

impl Turns {
    /// No lane.
    pub(crate) fn new() -> Self {
        Self(List::new())
    }
}

impl Inner {
    /// Appends a transfer to its lane.
    pub(crate) fn append(&mut self, lane: &Arc<Lane>, transfer: ListArc<Transfer>) {
        lane.waiting(self).push_back(transfer);
        self.waiting += 1;
        self.let_take_turns(lane);
    }

    /// Puts a transfer that the engine has taken before all others of its lane.
    pub(crate) fn put_back(&mut self, lane: &Arc<Lane>, transfer: ListArc<Transfer>) {
        lane.waiting(self).push_front(transfer);
        self.waiting += 1;
        self.let_take_turns(lane);
    }

    fn let_take_turns(&mut self, lane: &Arc<Lane>) {
        if let Ok(lane) = ListArc::try_from_arc(lane.clone()) {
            self.turns.0.push_back(lane);
        }
    }

    /// Takes the transfer whose turn it is.
    pub(crate) fn next(&mut self) -> Option<ListArc<Transfer>> {
        loop {
            let lane = self.turns.0.pop_front()?;
            let state = lane.state.access_mut(self);
            let Some(first) = state.waiting.iter().next() else {
                // It is back with its next transfer, and what it has saved up is gone.
                state.bytes_left = 0;
                continue;
            };
            let bytes = max(first.request().length, LEAST_BYTES);
            if bytes > state.bytes_left {
                // OVERFLOW: That is less than the transfer is long.
                state.bytes_left += TURN_BYTES;
                self.turns.0.push_back(lane);
                continue;
            }
            state.bytes_left -= bytes;
            let transfer = state.waiting.pop_front()?;
            self.waiting -= 1;
            self.turns.0.push_front(lane);
            return Some(transfer);
        }
    }

    /// Takes a transfer out of its lane, if it waits there.
    pub(crate) fn withdraw(
        &mut self,
        lane: &Lane,
        transfer: &Transfer,
    ) -> Option<ListArc<Transfer>> {
        let withdrawn = remove(lane.waiting(self), transfer)?;
        self.waiting -= 1;
        Some(withdrawn)
    }

    /// Calls `f` with the transfers that wait in each lane.
    pub(crate) fn for_each_lane(&mut self, mut f: impl FnMut(&mut List<Transfer>)) {
        let mut lanes = core::mem::replace(&mut self.turns.0, List::new());
        while let Some(lane) = lanes.pop_front() {
            f(lane.waiting(self));
            self.turns.0.push_back(lane);
        }
    }

    /// Takes out of the lanes, from the front of each, as long as `is_it` says so.
    pub(crate) fn withdraw_all(&mut self, is_it: impl Fn(&Transfer) -> bool) -> List<Transfer> {
        let mut withdrawn = List::new();
        let mut count = 0;
        self.for_each_lane(|waiting| {
            while waiting.iter().next().is_some_and(|first| is_it(&first)) {
                if let Some(transfer) = waiting.pop_front() {
                    withdrawn.push_back(transfer);
                    count += 1;
                }
            }
        });
        self.waiting -= count;
        withdrawn
    }
}

/// Takes a transfer out of a list, if it is in there.
pub(crate) fn remove(list: &mut List<Transfer>, transfer: &Transfer) -> Option<ListArc<Transfer>> {
    let mut cursor = list.cursor_front();
    while let Some(next) = cursor.peek_next() {
        if core::ptr::eq(&*next, transfer) {
            return Some(next.remove());
        }
        cursor.move_next();
    }
    None
}
