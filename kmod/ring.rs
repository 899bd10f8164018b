// SPDX-License-Identifier: GPL-2.0

//! The rings of a session: a batch of descriptors for each doorbell, completions without a system
//! call.
//!
//! User space owns the memory of the rings as much as the driver does. So what is in it is read
//! once, then checked; where the driver is in the rings, it knows from [`Rings`] alone.
//!
//! A descriptor that has nothing to move is completed at once when nothing is under way, with
//! no allocation, and no lock but this session's.

use core::{
    cmp::min,
    mem, //
};

use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

use crate::{
    notify::Posted,
    session::Session,
    sys::shared::Shared,
    transfer::Transfer,
    uapi::ring::{
        self,
        index,
        Completion,
        Descriptor, //
    },
    uring::Commands, //
};

/// A descriptor that has been taken and has no completion yet.
enum Slot {
    /// None.
    Empty,
    /// The engine has it, or will.
    Moving {
        user_data: u64,
        transfer: Arc<Transfer>,
    },
    /// It waits for those before it only.
    Done { user_data: u64, result: i32 },
}

/// Where the driver is in the rings of a session.
///
/// # Invariants
///
/// `completed` is at most `entries` behind `taken`. The slots between the two, and no others, are
/// not empty.
pub(crate) struct Rings {
    entries: u32,
    /// Index of the next descriptor.
    taken: u32,
    /// Index of the next completion.
    completed: u32,
    /// By the place of the index; empty until the rings are used.
    slots: KVVec<Slot>,
    /// What waits for completions, but for threads.
    commands: Commands,
}

impl Rings {
    /// Rings of `entries` entries each, a power of two.
    pub(crate) fn new(entries: u32) -> Self {
        // INVARIANT: Nothing is under way.
        Self {
            entries,
            taken: 0,
            completed: 0,
            slots: KVVec::new(),
            commands: Commands::new(),
        }
    }

    /// Entries of each ring.
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// Makes room for what is under way, unless that has been done.
    fn prepare(&mut self) -> Result {
        if self.slots.is_empty() {
            let mut slots = KVVec::with_capacity(self.entries as usize, GFP_KERNEL)?;
            for _ in 0..self.entries {
                slots.push(Slot::Empty, GFP_KERNEL)?;
            }
            self.slots = slots;
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.taken == self.completed
    }

    /// Whether the engine still has something of this session.
    fn is_moving(&self) -> bool {
        self.slots.iter().any(
            |slot| matches!(slot, Slot::Moving { transfer, .. } if transfer.outcome().is_none()),
        )
    }

    /// How many completions user space has not read, if it tells the truth about what it has.
    fn unread(&self, area: &Area<'_, '_>) -> Result<u32> {
        let head = area.load(index::COMPLETION_HEAD)?;
        ring::filled(head, self.completed, self.entries).ok_or(EINVAL)
    }

    /// How many descriptors can be taken, and completed one day.
    fn takeable(&self, area: &Area<'_, '_>) -> Result<u32> {
        let tail = area.load(index::SUBMISSION_TAIL)?;
        let waiting = ring::filled(self.taken, tail, self.entries).ok_or(EINVAL)?;
        let under_way = self.taken.wrapping_sub(self.completed);
        let room = self.entries - under_way;
        Ok(min(waiting, room.saturating_sub(self.unread(area)?)))
    }

    /// Writes the next completion.
    fn complete(&mut self, area: &Area<'_, '_>, user_data: u64, result: i32) -> Result {
        let completion = Completion {
            user_data,
            result,
            flags: 0,
        };
        let place = ring::completion_offset(self.completed, self.entries);
        // INVARIANT: Called for the first descriptor that has none only, whose slot is empty.
        self.completed = self.completed.wrapping_add(1);
        area.shared.write(area.start + place, &completion)
    }

    /// Writes the completions of all that is done, in order.
    fn post(&mut self, area: &Area<'_, '_>) -> Result<Posted> {
        let mut posted = Posted::default();
        while !self.is_idle() {
            let place = ring::slot(self.completed, self.entries);
            let Some(slot) = self.slots.get_mut(place) else {
                break;
            };
            let (user_data, result) = match slot {
                Slot::Done { user_data, result } => (*user_data, *result),
                Slot::Moving {
                    user_data,
                    transfer,
                } => match transfer.outcome() {
                    Some(outcome) => (*user_data, errno(outcome.map(drop))),
                    None => break,
                },
                Slot::Empty => break,
            };
            *slot = Slot::Empty;
            self.complete(area, user_data, result)?;
            posted.add(result);
        }
        area.store(index::COMPLETION_TAIL, self.completed)?;
        self.end_waits(area);
        Ok(posted)
    }

    /// Ends the wait of commands that have what they wait for.
    fn end_waits(&mut self, area: &Area<'_, '_>) {
        if !self.commands.is_empty() {
            let (unread, is_idle) = (self.unread(area), self.is_idle());
            self.commands.end_waits(unread, is_idle);
        }
    }
}

/// The memory of the rings, behind the session's buffer.
struct Area<'a, 'b> {
    shared: &'a Shared<'b>,
    start: usize,
}

impl Area<'_, '_> {
    fn load(&self, index: usize) -> Result<u32> {
        self.shared.load_acquire(self.start + index)
    }

    fn store(&self, index: usize, value: u32) -> Result {
        self.shared.store_release(self.start + index, value)
    }
}

/// Where both sides are in the rings of a session; what user space says may be anything.
pub(crate) struct Positions {
    /// Entries of each ring.
    pub(crate) entries: u32,
    /// Where user space says that it has put descriptors up to.
    pub(crate) submission_tail: u32,
    /// Where the driver has taken them up to.
    pub(crate) submission_head: u32,
    /// Where the driver has put completions up to.
    pub(crate) completion_tail: u32,
    /// Where user space says that it has read them up to.
    pub(crate) completion_head: u32,
}

/// What a completion says.
fn errno(result: Result) -> i32 {
    result.map_or_else(|error| error.to_errno(), |()| 0)
}

impl Session {
    /// A doorbell: takes at most `count` descriptors and waits for `wait` completions to be read.
    /// Returns how many were taken.
    pub(crate) fn submit(self: ArcBorrow<'_, Self>, count: u32, wait: u32) -> Result<u32> {
        let taken = self.take(count)?;
        match self.wait_for_completions(wait) {
            // They have been taken, and their completions tell the rest.
            Err(_) if taken > 0 => Ok(taken),
            waited => waited.map(|()| taken),
        }
    }

    /// Takes at most `count` descriptors, and returns how many.
    pub(crate) fn take(self: ArcBorrow<'_, Self>, count: u32) -> Result<u32> {
        let mut guard = self.rings().lock();
        guard.prepare()?;
        let rings = &mut *guard;
        let (taken, posted) = self.area(|area| {
            let mut posted = Posted::default();
            let count = min(count, rings.takeable(area)?);
            let mut taken = 0;
            while taken < count {
                let place = ring::descriptor_offset(rings.taken, rings.entries);
                // Read once: user space may change its copy at any time.
                let descriptor: Descriptor = area.shared.read(area.start + place)?;
                let user_data = descriptor.user_data;
                let (result, transfer) = match self.begin(&descriptor) {
                    Ok(transfer) => (0, transfer),
                    // Later, when it has a place. It stays in the ring.
                    Err(EBUSY) => break,
                    Err(error) => (error.to_errno(), None),
                };
                taken += 1;
                let slot = match transfer {
                    None if rings.is_idle() => {
                        // INVARIANT: Nothing is under way, before and after.
                        rings.taken = rings.taken.wrapping_add(1);
                        rings.complete(area, user_data, result)?;
                        posted.add(result);
                        continue;
                    }
                    None => Slot::Done { user_data, result },
                    Some(transfer) => Slot::Moving {
                        user_data,
                        transfer,
                    },
                };
                let place = ring::slot(rings.taken, rings.entries);
                // INVARIANT: `takeable` has counted what is under way, so the slot is empty.
                *rings.slots.get_mut(place).ok_or(EINVAL)? = slot;
                rings.taken = rings.taken.wrapping_add(1);
            }
            area.store(index::SUBMISSION_HEAD, rings.taken)?;
            // What the engine has done meanwhile is posted by who waits for the lock that is held here.
            area.store(index::COMPLETION_TAIL, rings.completed)?;
            rings.end_waits(area);
            Ok((taken, posted))
        })?;
        drop(guard);
        self.tell_posted(posted);
        Ok(taken)
    }

    /// Checks a descriptor and queues what it asks for, if that is anything. `EBUSY` if there is no
    /// place for it now.
    fn begin(self: ArcBorrow<'_, Self>, descriptor: &Descriptor) -> Result<Option<Arc<Transfer>>> {
        let ends = self.ends(descriptor.source_buffer, descriptor.destination_buffer)?;
        let most = self.device().engine().max_transfer_bytes();
        let (from, to) = (ends.source_bytes(), ends.destination_bytes());
        let work = ring::check(descriptor, from, to, most).map_err(|_| EINVAL)?;
        let Some(request) = ends.request(work)? else {
            return Ok(None);
        };
        let place = self.admit()?;
        let transfer = self.submit_transfer(place, request)?;
        Ok(Some(transfer))
    }

    fn area<R>(&self, f: impl FnOnce(&Area<'_, '_>) -> Result<R>) -> Result<R> {
        let start = self.buffer_bytes();
        self.buffer().shared(|shared| f(&Area { shared, start }))
    }

    /// Writes the completions of what is done, so that whoever is woken up finds them.
    pub(crate) fn post_completions(&self) -> Posted {
        let mut rings = self.rings().lock();
        if rings.is_idle() {
            return Posted::default();
        }
        // Without the memory, nobody can look for them.
        self.area(|area| rings.post(area)).unwrap_or_default()
    }

    /// Where the driver and user space say they are.
    pub(crate) fn ring_positions(&self) -> Positions {
        let rings = self.rings().lock();
        let user = if rings.slots.is_empty() {
            // Rings that nobody has used get no memory for this.
            None
        } else {
            self.area(|area| {
                let tail = area.load(index::SUBMISSION_TAIL)?;
                Ok((tail, area.load(index::COMPLETION_HEAD)?))
            })
            .ok()
        };
        let (submission_tail, completion_head) = user.unwrap_or((0, 0));
        Positions {
            entries: rings.entries,
            submission_tail,
            submission_head: rings.taken,
            completion_tail: rings.completed,
            completion_head,
        }
    }

    /// Whether there are completions that user space says it has not read. Whatever it says, only
    /// its own waiting depends on it.
    pub(crate) fn has_unread_completions(&self) -> bool {
        let rings = self.rings().lock();
        // Rings that nobody has used have none, and get no memory for this.
        !rings.slots.is_empty()
            && self
                .area(|area| Ok(area.load(index::COMPLETION_HEAD)? != rings.completed))
                .unwrap_or(false)
    }

    /// Whether so many completions are there to be read, or all there will be.
    pub(crate) fn has_completions(&self, wait: u32) -> Result<bool> {
        if wait == 0 {
            return Ok(true);
        }
        let rings = self.rings().lock();
        if rings.is_idle() || self.area(|area| rings.unread(area))? >= wait {
            return Ok(true);
        }
        drop(rings);
        if self.device().is_gone() {
            return Err(ENODEV);
        }
        Ok(false)
    }

    /// Calls `f` with the commands that wait, and ends the wait of those that have what they wait
    /// for: what was posted before has not found them.
    pub(crate) fn with_commands<R>(&self, f: impl FnOnce(&mut Commands) -> R) -> R {
        let mut guard = self.rings().lock();
        let rings = &mut *guard;
        let result = f(&mut rings.commands);
        if !rings.commands.is_empty() {
            let ended = self.area(|area| {
                rings.end_waits(area);
                Ok(())
            });
            // Without the memory, nothing is posted any more.
            if let Err(error) = ended {
                rings.commands.end_all(error);
            }
        }
        result
    }

    fn wait_for_completions(&self, wait: u32) -> Result {
        if wait == 0 {
            return Ok(());
        }
        let _sleeper = self.notifier().sleeper();
        let mut stream = self.stream().lock();
        loop {
            if self.has_completions(wait)? {
                return Ok(());
            }
            if self.changed().wait_interruptible(&mut stream) {
                return Err(ERESTARTSYS);
            }
        }
    }

    /// Takes back all transfers of the rings that still wait for the engine, and waits for the one
    /// that it moves.
    pub(crate) fn end_rings(&self) {
        let _sleeper = self.notifier().sleeper();
        let mut stream = self.stream().lock();
        for slot in self.rings().lock().slots.iter() {
            if let Slot::Moving { transfer, .. } = slot {
                if transfer.outcome().is_none() {
                    self.device().queue().cancel(self.lane(), transfer, ENODEV);
                }
            }
        }
        while self.rings().lock().is_moving() {
            self.changed().wait(&mut stream);
        }
        drop(stream);
        let mut rings = self.rings().lock();
        // INVARIANT: Nothing is under way any more.
        rings.taken = rings.completed;
        let slots = mem::take(&mut rings.slots);
        drop(rings);
        drop(slots);
    }
}
