// SPDX-License-Identifier: MIT OR Apache-2.0

//! What all that use a queue share: its rings, what is in flight, and who looks for completions.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use kernel_channels::Interest;

use crate::flight::{Flight, Inbox};
use crate::memory::{GONE, Link, Memory};
use crate::tasks::Tasks;
use crate::work::Pass;
use crate::{Error, Operation, Rings, Session, Work};

/// How long the driver is left alone when it has taken nothing although nothing is under way.
const MOMENT: Duration = Duration::from_millis(10);

/// What all that share a queue have.
pub(crate) struct Shared {
    pub(crate) link: Arc<Link>,
    pub(crate) entries: usize,
    /// The longest transfer in bytes.
    most: u64,
    state: Mutex<State>,
    /// Told when nobody waits for the device any more.
    changed: Condvar,
    pub(crate) tasks: Arc<Tasks>,
    /// The buffer that the session has from the start, if anybody has any of it.
    first: Mutex<Weak<Memory>>,
    #[cfg(feature = "tokio")]
    pub(crate) reactor: crate::tokio::Reactor,
}

/// What is under way.
#[derive(Debug)]
pub(crate) struct State {
    rings: Rings,
    flight: Flight,
    /// How many of it, the last ones, the driver has not taken yet.
    untaken: usize,
    /// A thread sleeps until the device has something. Only it takes completions then: it would not
    /// be woken up for those that another one takes.
    is_watched: bool,
    /// Tasks have not been told yet of what has changed.
    has_news: bool,
    /// What came instead of what had to come. From then on nothing can be said of the device.
    foreign: Option<Foreign>,
}

/// A completion that belongs to nothing, and the number of the one that had to come.
type Foreign = (u64, Option<u64>);

impl State {
    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.flight.len() == 0
    }

    /// Whether the driver has nothing of what is under way, so that no completion will tell when it
    /// can take some.
    pub(crate) fn is_stuck(&self) -> bool {
        self.untaken > 0 && self.untaken == self.flight.len()
    }
}

impl Shared {
    /// For a session whose rings are nobody else's.
    pub(crate) fn new(session: Session, rings: Rings, most: u64) -> Self {
        Self {
            entries: rings.entries() as usize,
            most,
            link: Arc::new(Link::new(session)),
            state: Mutex::new(State {
                rings,
                flight: Flight::default(),
                untaken: 0,
                is_watched: false,
                has_news: false,
                foreign: None,
            }),
            changed: Condvar::new(),
            tasks: Arc::default(),
            first: Mutex::default(),
            #[cfg(feature = "tokio")]
            reactor: crate::tokio::Reactor::default(),
        }
    }

    pub(crate) fn device(&self) -> &str {
        self.link.session.device()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The buffer that the session has from the start.
    pub(crate) fn first(&self) -> MutexGuard<'_, Weak<Memory>> {
        lock(&self.first)
    }

    /// How much is under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().flight.len()
    }

    /// Gives work to the device, and says where it comes back to. What cannot be given to it is
    /// returned with the reason, all of it.
    pub(crate) fn submit(&self, works: Vec<Work>) -> Result<Arc<Inbox>, (Box<Error>, Vec<Work>)> {
        let mut state = self.lock();
        let looked = self.look(&mut state);
        let admitted = looked.and_then(|()| self.admit(&state, &works));
        let submitted = match admitted {
            Ok(()) => self.push(&mut state, works),
            Err(error) => Err((Box::new(error), works)),
        };
        self.release(state);
        submitted
    }

    /// Unlocks, and wakes all tasks if there is something for them.
    fn release(&self, mut state: MutexGuard<'_, State>) {
        let has_news = std::mem::take(&mut state.has_news);
        drop(state);
        if has_news {
            self.tasks.wake_all();
        }
    }

    /// Checks work, and passes its memory to the device.
    fn admit(&self, state: &State, works: &[Work]) -> Result<(), Error> {
        for (index, work) in works.iter().enumerate() {
            work.check(&self.link, self.most)
                .map_err(|misfit| Error::Misfit {
                    device: self.device().to_owned(),
                    index,
                    misfit,
                })?;
        }
        self.has_room_one_day(works.len())?;
        self.room(state, works.len())
            .unwrap_or_else(|| Err(self.full(works.len(), self.entries - state.flight.len())))?;
        Pass::all(works.iter().flat_map(Work::passes))
    }

    fn push(
        &self,
        state: &mut State,
        works: Vec<Work>,
    ) -> Result<Arc<Inbox>, (Box<Error>, Vec<Work>)> {
        let inbox = Arc::default();
        let mut pushed = 0;
        let mut works = works.into_iter();
        let mut pushing = Ok(());
        for work in &mut works {
            let descriptor = work.descriptor(state.flight.next());
            state.flight.add(work, &inbox);
            pushing = match state.rings.push(&descriptor) {
                Ok(true) => Ok(()),
                // Somebody else has pushed: there was room.
                Ok(false) => Err(self.full(1, 0)),
                Err(error) => Err(error),
            };
            if pushing.is_err() {
                break;
            }
            pushed += 1;
        }
        let count = pushed + usize::from(pushing.is_err());
        let rung = pushing.and_then(|()| state.rings.submit(&self.link.session, 0));
        match rung {
            Ok(taken) => {
                // What has not been taken follows when there is a place for it.
                state.untaken = (state.untaken + pushed).saturating_sub(taken as usize);
                Ok(inbox)
            }
            Err(error) => {
                let given = state.flight.retract(count).chain(works).collect();
                self.refused(state, pushed, &error);
                Err((Box::new(error), given))
            }
        }
    }

    /// The driver has taken nothing of what was pushed last.
    fn refused(&self, state: &mut State, pushed: usize, error: &Error) {
        if error.raw_os_error() == Some(GONE) {
            self.end(state);
        } else if let Ok(count) = u32::try_from(pushed) {
            // What it has not taken now it must not take later.
            let _ = state.rings.withdraw(count);
        }
    }

    /// Whether a batch of so many finds room, if that can be said.
    pub(crate) fn room(&self, state: &State, count: usize) -> Option<Result<(), Error>> {
        if self.link.is_gone() {
            return Some(Err(self.link.gone(Operation::Submit)));
        }
        (self.entries - state.flight.len() >= count).then_some(Ok(()))
    }

    /// Whether it ever does.
    pub(crate) fn has_room_one_day(&self, count: usize) -> Result<(), Error> {
        if count > self.entries {
            return Err(self.full(count, self.entries));
        }
        Ok(())
    }

    fn full(&self, wanted: usize, room: usize) -> Error {
        Error::Full {
            device: self.device().to_owned(),
            wanted,
            room,
            entries: self.entries,
        }
    }

    /// Looks for completions, and wakes up who waits for them.
    pub(crate) fn look_once(&self) -> Result<(), Error> {
        let mut state = self.lock();
        let looked = self.look(&mut state);
        self.release(state);
        looked
    }

    fn look(&self, state: &mut State) -> Result<(), Error> {
        self.check_foreign(state)?;
        let now = Some(Duration::ZERO);
        let before = state.flight.len();
        let readiness = self.link.session.poll(Interest::READABLE, now)?;
        let looked = if readiness.hang_up {
            self.end(state);
            Ok(())
        } else if state.is_watched {
            Ok(())
        } else {
            self.take(state, readiness.readable)
        };
        // Of an error, too: the device tells it only once.
        state.has_news |= state.flight.len() != before || looked.is_err();
        looked
    }

    /// Takes completions, if there are any, and has the driver take what it could not before.
    fn take(&self, state: &mut State, is_readable: bool) -> Result<(), Error> {
        let mut is_readable = is_readable;
        loop {
            if is_readable {
                self.pop_all(state)?;
            }
            if state.untaken == 0 {
                return Ok(());
            }
            match state.rings.submit(&self.link.session, 0) {
                Ok(0) => return Ok(()),
                Ok(taken) => state.untaken = state.untaken.saturating_sub(taken as usize),
                Err(error) if error.raw_os_error() == Some(GONE) => {
                    self.end(state);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            // What has nothing to move is done by now.
            is_readable = true;
        }
    }

    fn pop_all(&self, state: &mut State) -> Result<(), Error> {
        while let Some(completion) = state.rings.pop()? {
            let expected = state.flight.first();
            let user_data = completion.user_data;
            if !state.flight.complete(user_data, completion.errno) {
                state.foreign = Some((user_data, expected));
                break;
            }
        }
        self.check_foreign(state)
    }

    /// Fails for ever when what has come once belonged to nothing: nobody knows what the device does
    /// with what it has.
    pub(crate) fn check_foreign(&self, state: &State) -> Result<(), Error> {
        let Some((user_data, expected)) = state.foreign else {
            return Ok(());
        };
        Err(Error::Foreign {
            device: self.device().to_owned(),
            user_data,
            expected,
        })
    }

    /// The device has gone: it touches nothing any more, and its rings are not there.
    fn end(&self, state: &mut State) {
        self.link.set_gone();
        state.flight.end();
        state.untaken = 0;
    }

    /// Waits until `find` finds something, or `timeout` has passed.
    pub(crate) fn wait<T>(
        &self,
        timeout: Option<Duration>,
        find: impl FnMut(&State) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let waited = self.wait_for(timeout, find);
        self.release(self.lock());
        waited
    }

    fn wait_for<T>(
        &self,
        timeout: Option<Duration>,
        mut find: impl FnMut(&State) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        // A timeout too far away for the clock is as good as none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        loop {
            // What another one has taken needs no look.
            if let Some(found) = find(&state) {
                return Ok(Some(found));
            }
            if !state.is_watched {
                self.look(&mut state)?;
                if let Some(found) = find(&state) {
                    return Ok(Some(found));
                }
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            state = match (state.is_watched, left) {
                (false, _) => self.watch(state, left)?,
                (true, Some(left)) => {
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                (true, None) => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Sleeps until the device has something, and takes it for all who wait.
    fn watch<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        left: Option<Duration>,
    ) -> Result<MutexGuard<'a, State>, Error> {
        let left = if state.is_stuck() {
            Some(left.map_or(MOMENT, |left| left.min(MOMENT)))
        } else {
            left
        };
        state.is_watched = true;
        self.release(state);
        let polled = self.link.session.poll(Interest::READABLE, left);
        let mut state = self.lock();
        state.is_watched = false;
        let looked = polled.and_then(|_| self.look(&mut state));
        // The others look for what is theirs, and one of them sleeps next.
        self.changed.notify_all();
        looked.map(|()| state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use dmacopy_uapi::ring::{self, Completion, index};
    use kernel_channels::mmap::Mapping;
    use kernel_channels::mmap::memfd::MemFd;

    use super::*;

    const ENTRIES: u32 = 4;
    const PAGE: usize = 4096;

    /// Rings that no driver knows of, and a session that can be read always.
    fn shared() -> (Shared, Mapping) {
        let memory = MemFd::new(PAGE as u64).unwrap();
        let [mapping, ours] = [(); 2].map(|()| memory.map(0, PAGE).unwrap());
        let session = crate::device::null_session();
        let rings = Rings::new(mapping, "null".to_owned(), ENTRIES).unwrap();
        (Shared::new(session, rings, 1 << 20), ours)
    }

    /// What the driver would do.
    fn complete(memory: &mut Mapping, number: u32, user_data: u64, result: i32) {
        let completion = Completion {
            user_data,
            result,
            flags: 0,
        };
        let place = ring::completion_offset(number, ENTRIES);
        memory
            .store_words::<2>(place, zerocopy::transmute!(completion))
            .unwrap();
        memory
            .store_release(index::COMPLETION_TAIL, number + 1)
            .unwrap();
    }

    fn fly(shared: &Shared, count: usize) -> Arc<Inbox> {
        let inbox = Arc::default();
        let mut state = shared.lock();
        (0..count).for_each(|_| state.flight.add(Work::Nop, &inbox));
        inbox
    }

    fn nops(count: usize) -> Vec<Work> {
        (0..count).map(|_| Work::Nop).collect()
    }

    #[test]
    fn what_the_driver_refuses_comes_back_and_leaves_the_ring() {
        let (shared, memory) = shared();
        for _ in 0..3 {
            let (error, works) = shared.submit(nops(3)).unwrap_err();
            // Of a request that `/dev/null` does not know.
            assert_eq!(error.raw_os_error(), Some(25), "{error}");
            assert_eq!(works.len(), 3);
            assert_eq!(memory.load_acquire(index::SUBMISSION_TAIL).unwrap(), 0);
            assert_eq!(shared.in_flight(), 0);
        }
    }

    #[test]
    fn a_ring_without_room_says_how_much_there_is() {
        let (shared, _memory) = shared();
        let _inbox = fly(&shared, 3);
        let (error, works) = shared.submit(nops(2)).unwrap_err();
        let said = "null: no room for 2 descriptors, with 1 of 4 free";
        assert_eq!((error.to_string().as_str(), works.len()), (said, 2));
        let (error, _) = shared.submit(nops(5)).unwrap_err();
        let expected = matches!(*error, Error::Full { room: 4, .. });
        assert!(expected, "there never will be: {error}");
    }

    #[test]
    fn completions_go_where_they_belong() {
        let (shared, mut memory) = shared();
        let [one, other] = [fly(&shared, 1), fly(&shared, 2)];
        complete(&mut memory, 0, 0, 0);
        complete(&mut memory, 1, 1, -5);
        let waited = shared.wait(None, |_| other.lock().pop_front());
        assert_eq!(waited.unwrap().unwrap().1, Some(5));
        assert_eq!(one.lock().pop_front().unwrap().1, None);
        assert_eq!(shared.in_flight(), 1);
        assert_eq!(memory.load_acquire(index::COMPLETION_HEAD).unwrap(), 2);
        let now = Some(Duration::ZERO);
        let waited = shared.wait(now, |_| other.lock().pop_front());
        assert!(waited.unwrap().is_none(), "the last has not come");
    }

    #[test]
    fn a_completion_that_was_not_to_come_is_told_and_ends_nothing() {
        let (shared, mut memory) = shared();
        let inbox = fly(&shared, 2);
        complete(&mut memory, 0, 1, 0);
        let error = shared.look_once().unwrap_err();
        let said = "null: completion 1 came instead of Some(0)";
        assert_eq!(error.to_string(), said);
        assert_eq!((shared.in_flight(), inbox.lock().len()), (2, 0));
        // Nor does anything that comes later, and who waits learns that.
        complete(&mut memory, 1, 0, 0);
        let waited = shared.wait(None, |_| inbox.lock().pop_front());
        assert_eq!(waited.unwrap_err().to_string(), said);
        let (error, works) = shared.submit(nops(1)).unwrap_err();
        assert_eq!((error.to_string().as_str(), works.len()), (said, 1));
        assert_eq!((shared.in_flight(), inbox.lock().len()), (2, 0));
    }

    #[test]
    fn while_one_sleeps_for_the_device_nobody_else_takes_what_it_has() {
        let (shared, mut memory) = shared();
        let inbox = fly(&shared, 1);
        shared.lock().is_watched = true;
        complete(&mut memory, 0, 0, 0);
        shared.look_once().unwrap();
        assert_eq!(inbox.lock().len(), 0);
        shared.lock().is_watched = false;
        shared.look_once().unwrap();
        assert_eq!(inbox.lock().len(), 1);
    }

    #[test]
    fn a_device_that_goes_ends_all_of_it() {
        let (shared, _memory) = shared();
        let inbox = fly(&shared, 2);
        shared.end(&mut shared.lock());
        assert!(inbox.lock().iter().all(|(_, errno)| *errno == Some(GONE)));
        let room = shared.room(&shared.lock(), 1).unwrap().unwrap_err();
        assert_eq!(room.raw_os_error(), Some(GONE));
    }
}
