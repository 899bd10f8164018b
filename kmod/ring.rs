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
    sys::shared::{
        Index,
        Ring,
        Shared, //
    },
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
    fn unread(&self, area: &Area<'_>) -> Result<u32> {
        let head = area.completion_head.load_acquire();
        ring::filled(head, self.completed, self.entries).ok_or(EINVAL)
    }

    /// How many descriptors can be taken, and completed one day.
    fn takeable(&self, area: &Area<'_>) -> Result<u32> {
        let tail = area.submission_tail.load_acquire();
        let waiting = ring::filled(self.taken, tail, self.entries).ok_or(EINVAL)?;
        let under_way = self.taken.wrapping_sub(self.completed);
        let room = self.entries - under_way;
        Ok(min(waiting, room.saturating_sub(self.unread(area)?)))
    }

    /// Writes the next completion.
    #[inline]
    fn complete(&mut self, area: &Area<'_>, user_data: u64, result: i32) {
        let completion = Completion {
            user_data,
            result,
            flags: 0,
        };
        area.completions.write(self.completed, &completion);
        // INVARIANT: Called for the first descriptor that has none only, whose slot is empty.
        self.completed = self.completed.wrapping_add(1);
    }

    /// Takes and completes up to `count` descriptors that have nothing to move, as long as nothing
    /// is under way that they would have to wait for. Returns how many that were.
    ///
    /// What such a descriptor costs is what is in here.
    #[inline]
    fn pass_nops(&mut self, area: &Area<'_>, count: u32) -> u32 {
        if !self.is_idle() {
            return 0;
        }
        let mut passed = 0;
        while passed < count {
            let index = self.taken.wrapping_add(passed);
            // Another one is read anew by who begins it, and then checked.
            let descriptor = area.descriptors.read(index);
            if !ring::is_nop(&descriptor) {
                break;
            }
            let completion = Completion {
                user_data: descriptor.user_data,
                result: 0,
                flags: 0,
            };
            area.completions.write(index, &completion);
            passed += 1;
        }
        // INVARIANT: Nothing is under way, before and after.
        self.taken = self.taken.wrapping_add(passed);
        self.completed = self.taken;
        passed
    }

    /// Writes the completions of all that is done, in order.
    fn post(&mut self, area: &Area<'_>) -> Posted {
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
            self.complete(area, user_data, result);
            posted.add(result);
        }
        area.completion_tail.store_release(self.completed);
        self.end_waits(area);
        posted
    }

    /// Ends the wait of commands that have what they wait for.
    fn end_waits(&mut self, area: &Area<'_>) {
        if !self.commands.is_empty() {
            let (unread, is_idle) = (self.unread(area), self.is_idle());
            self.commands.end_waits(unread, is_idle);
        }
    }
}

/// The memory of the rings, behind the session's buffer.
struct Area<'a> {
    submission_tail: Index<'a>,
    completion_head: Index<'a>,
    submission_head: Index<'a>,
    completion_tail: Index<'a>,
    descriptors: Ring<'a, Descriptor>,
    completions: Ring<'a, Completion>,
}

impl<'a> Area<'a> {
    /// Rings of `entries` entries, from `start` on.
    #[inline]
    fn new(memory: &Shared<'a>, start: usize, entries: u32) -> Result<Self> {
        let memory = memory.behind(start)?;
        Ok(Self {
            submission_tail: memory.index(index::SUBMISSION_TAIL)?,
            completion_head: memory.index(index::COMPLETION_HEAD)?,
            submission_head: memory.index(index::SUBMISSION_HEAD)?,
            completion_tail: memory.index(index::COMPLETION_TAIL)?,
            descriptors: memory.ring(ring::descriptor_offset(0, entries), entries)?,
            completions: memory.ring(ring::completion_offset(0, entries), entries)?,
        })
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
        let (taken, posted) = self.area(rings.entries, |area| {
            let mut passed = 0;
            let count = min(count, rings.takeable(area)?);
            let mut taken = 0;
            loop {
                let nops = rings.pass_nops(area, count - taken);
                (taken, passed) = (taken + nops, passed + nops);
                if taken == count {
                    break;
                }
                // Read once: user space may change its copy at any time.
                let descriptor = area.descriptors.read(rings.taken);
                let user_data = descriptor.user_data;
                let begun = self.begin(&descriptor);
                // Later, when it has a place. It stays in the ring.
                if matches!(begun, Err(EBUSY)) {
                    break;
                }
                taken += 1;
                let slot = match begun {
                    Ok(None) => Slot::Done {
                        user_data,
                        result: 0,
                    },
                    Err(error) => Slot::Done {
                        user_data,
                        result: error.to_errno(),
                    },
                    Ok(Some(transfer)) => Slot::Moving {
                        user_data,
                        transfer,
                    },
                };
                let place = ring::slot(rings.taken, rings.entries);
                // INVARIANT: `takeable` has counted what is under way, so the slot is empty.
                *rings.slots.get_mut(place).ok_or(EINVAL)? = slot;
                rings.taken = rings.taken.wrapping_add(1);
            }
            // With what the engine has done meanwhile: who tells of that waits for the lock.
            let mut posted = rings.post(area);
            posted.add_done(passed);
            area.submission_head.store_release(rings.taken);
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

    fn area<R>(&self, entries: u32, f: impl FnOnce(&Area<'_>) -> Result<R>) -> Result<R> {
        let start = self.buffer_bytes();
        self.buffer()
            .shared(|memory| f(&Area::new(memory, start, entries)?))
    }

    /// Writes the completions of what is done, so that whoever is woken up finds them.
    pub(crate) fn post_completions(&self) -> Posted {
        let mut rings = self.rings().lock();
        if rings.is_idle() {
            return Posted::default();
        }
        // Without the memory, nobody can look for them.
        self.area(rings.entries, |area| Ok(rings.post(area)))
            .unwrap_or_default()
    }

    /// Where the driver and user space say they are.
    pub(crate) fn ring_positions(&self) -> Positions {
        let rings = self.rings().lock();
        let user = if rings.slots.is_empty() {
            // Rings that nobody has used get no memory for this.
            None
        } else {
            self.area(rings.entries, |area| {
                let tail = area.submission_tail.load_acquire();
                Ok((tail, area.completion_head.load_acquire()))
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
                .area(rings.entries, |area| {
                    Ok(area.completion_head.load_acquire() != rings.completed)
                })
                .unwrap_or(false)
    }

    /// Whether so many completions are there to be read, or all there will be.
    pub(crate) fn has_completions(&self, wait: u32) -> Result<bool> {
        if wait == 0 {
            return Ok(true);
        }
        let rings = self.rings().lock();
        if rings.is_idle() || self.area(rings.entries, |area| rings.unread(area))? >= wait {
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
            let ended = self.area(rings.entries, |area| {
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
