// SPDX-License-Identifier: GPL-2.0

//! One device, as all rooms see it.
//!
//! # Lifetimes
//!
//! A [`Device`] is reference-counted, because open files outlive the binding of the driver. After
//! [`Device::shut_down`] it is *gone*: the queue takes nothing more, the engine has come to rest,
//! and whatever a session asks for is answered with `ENODEV`.
//!
//! DMA memory does not outlive the binding, and nor does what the device has of other memory. A
//! session has it as long as its file is open and the device is bound, and frees it in
//! [`Session::close`] or, at the latest, in `shut_down`: a session is in `sessions` until it has
//! done so, and none is added after the queue has been closed.
//!
//! # Lock order
//!
//! 1. the lock of the bus device, which is held during probe and unbind; `misc_mtx`, which is held
//!    when a file is opened and when the character device comes or goes; and the locks of generic
//!    netlink, which are held when a request is answered
//! 2. `Registry::devices`
//! 3. `Device::sessions`
//! 4. the mmap lock of a process: held when memory is mapped; taken, for reading, when it is
//!    revoked
//! 5. `Session::stream`
//! 6. `Session::rings`, then `RevocableMemory::state` of the memory that the rings are in
//! 7. `Session::buffers`
//! 8. the lock of a buffer: `RevocableMemory::state`, of one at a time; `CachedMemory::mapped` or
//!    `ImportedMemory::state`, of one at a time, in the former if at all
//! 9. `Binding::is_bound`
//! 10. the lock of a dma-buf and those of whoever exports it; of our exports, `Exported::mappings`
//!
//! The lock of an io_uring is held when a command is issued or cancelled. It comes before all but
//! those of 1, and is taken when a command is kept, with no other lock held.
//!
//! `Notifier::set` is taken last, too. The timer that is waited for with it held takes no lock.
//!
//! What an engine that is hardware has taken, `Worker::moving` or `Worker::state`, comes before the
//! lock of a buffer, and `Channel::requested` after all of the above, with none of them taken while
//! it is held.
//!
//! `Queue::recovery` comes before `Health::announced`, that before `Aftermath::pending`, the lock of
//! the upcall's setting and `Queue::inner`, and `Queue::inner` after all others but number 10, with no
//! lock taken while it is held. The watchdog takes `recovery`, and it and the engine's worker take
//! `announced`, `pending`, the setting, `stream`, `rings`, `state` and `inner`, so they are waited for
//! with at most `sessions` and what comes before that held. The worker is waited for with `recovery`
//! held, too, while an engine completes what it had done before a reset; so `recovery` comes before
//! `stream`. The work of `Aftermath` takes `sessions`, too, so it is waited for with nothing held but
//! what comes before that.
//!
//! No lock is held while user memory is accessed: that may take the mmap lock.

use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

use crate::{
    aftermath::Aftermath,
    engine::{
        Coalescing,
        Engine, //
    },
    limits::Limits,
    notify,
    queue::{
        Attached,
        Queue, //
    },
    session::Session,
    sys::binding::Binding,
    uapi::{
        names,
        ring, //
    }, //
};

/// The largest buffer that a session can have, in bytes.
pub(crate) const MAX_BUFFER_BYTES: usize = 4 << 20;
/// The longest time that the engine may be given, in milliseconds.
const MAX_TIMEOUT_MS: u32 = 60_000;

/// A DMA copy engine with its queue and its sessions.
#[pin_data]
pub(crate) struct Device {
    number: u32,
    name: CString,
    binding: Arc<Binding>,
    engine: Arc<dyn Engine>,
    queue: Attached,
    buffer_bytes: Atomic<usize>,
    ring_entries: Atomic<u32>,
    limits: Arc<Limits>,
    aftermath: Arc<Aftermath>,
    coalesce_count: Atomic<u32>,
    coalesce_us: Atomic<u32>,
    #[pin]
    sessions: Mutex<KVec<Arc<Session>>>,
}

impl Device {
    /// Creates device number `number` for the bus device of `binding`, with the engine that
    /// `make_engine` makes for its name and its queue.
    pub(crate) fn new(
        number: u32,
        binding: Arc<Binding>,
        make_engine: impl FnOnce(&CStr, &Arc<Queue>) -> Result<Arc<dyn Engine>>,
    ) -> Result<Arc<Self>> {
        let name = CString::try_from_fmt(fmt!("{}{}", names::DRIVER, number))?;
        let queue = Queue::new(number)?;
        let engine = make_engine(&name, &queue)?;
        let (limits, aftermath) = (Limits::new()?, Aftermath::new()?);

        // The engine is let go of when the device is dropped, at the latest.
        let queue = queue.attach(engine.clone());
        Arc::pin_init(
            pin_init!(Self {
                number,
                name,
                binding,
                engine,
                queue,
                buffer_bytes: Atomic::new(64 << 10),
                ring_entries: Atomic::new(256),
                limits,
                aftermath,
                coalesce_count: Atomic::new(1),
                coalesce_us: Atomic::new(0),
                sessions <- new_mutex!(KVec::new()),
            }),
            GFP_KERNEL,
        )
    }

    /// The device's number, unique among the bound devices.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The device's name, for example `dmacopy0`.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// The bus device, as long as the driver is bound to it.
    pub(crate) fn binding(&self) -> &Arc<Binding> {
        &self.binding
    }

    /// What moves the bytes.
    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The transfers that wait for the engine.
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// How much of the device its sessions may have.
    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// What follows a stall.
    pub(crate) fn aftermath(&self) -> &Arc<Aftermath> {
        &self.aftermath
    }

    /// Size in bytes of the buffer that a new session gets.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes.load(Relaxed)
    }

    /// Sets the size of the buffer that a new session gets: whole pages, at least one.
    pub(crate) fn set_buffer_bytes(&self, bytes: usize) -> Result {
        if !(PAGE_SIZE..=MAX_BUFFER_BYTES).contains(&bytes) || bytes % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        self.buffer_bytes.store(bytes, Relaxed);
        Ok(())
    }

    /// How many entries each ring of a new session gets.
    pub(crate) fn ring_entries(&self) -> u32 {
        self.ring_entries.load(Relaxed)
    }

    /// Sets how many entries each ring of a new session gets: a power of two.
    pub(crate) fn set_ring_entries(&self, entries: u32) -> Result {
        if !ring::is_size(entries) {
            return Err(EINVAL);
        }
        self.ring_entries.store(entries, Relaxed);
        Ok(())
    }

    /// Of how many completions the client of a new session is told together.
    pub(crate) fn coalesce_count(&self) -> u32 {
        self.coalesce_count.load(Relaxed)
    }

    /// Sets of how many.
    pub(crate) fn set_coalesce_count(&self, count: u32) -> Result {
        notify::Coalescing::new(count, 0)?;
        self.coalesce_count.store(count, Relaxed);
        Ok(())
    }

    /// How late it is told at most, in microseconds.
    pub(crate) fn coalesce_us(&self) -> u32 {
        self.coalesce_us.load(Relaxed)
    }

    /// Sets how late.
    pub(crate) fn set_coalesce_us(&self, microseconds: u32) -> Result {
        notify::Coalescing::new(0, microseconds)?;
        self.coalesce_us.store(microseconds, Relaxed);
        Ok(())
    }

    /// How long the engine may go without completing anything, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> u32 {
        self.queue.timeout_ms()
    }

    /// Sets how long the engine may go without completing anything.
    pub(crate) fn set_timeout_ms(&self, milliseconds: u32) -> Result {
        if !(1..=MAX_TIMEOUT_MS).contains(&milliseconds) {
            return Err(EINVAL);
        }
        self.queue.set_timeout_ms(milliseconds);
        Ok(())
    }

    /// Sets after how many completions the hardware interrupts.
    pub(crate) fn set_interrupt_count(&self, count: u32) -> Result {
        self.engine
            .change_coalescing(&|before| Coalescing { count, ..before })
    }

    /// Sets how long after a completion the hardware interrupts at the latest, in microseconds.
    pub(crate) fn set_interrupt_microseconds(&self, microseconds: u32) -> Result {
        self.engine.change_coalescing(&|before| Coalescing {
            microseconds,
            ..before
        })
    }

    /// The number of open sessions.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Calls `f` with each open session.
    pub(crate) fn for_each_session(&self, f: impl FnMut(&Arc<Session>)) {
        self.sessions.lock().iter().for_each(f);
    }

    /// Adds a session, to be woken up and to lose its memory when the device goes.
    ///
    /// Fails with `EBUSY` when there are as many as there may be.
    pub(crate) fn add_session(&self, session: Arc<Session>) -> Result {
        let mut sessions = self.sessions.lock();
        // With the sessions locked: otherwise `shut_down` has not looked at them yet.
        if self.is_gone() {
            return Err(ENODEV);
        }
        if sessions.len() >= self.limits.sessions.get() {
            return Err(EBUSY);
        }
        Ok(sessions.push(session, GFP_KERNEL)?)
    }

    /// Removes a session, which has no memory any more.
    pub(crate) fn remove_session(&self, number: u64) {
        self.sessions
            .lock()
            .retain(|session| session.number() != number);
    }

    /// Whether [`Self::shut_down`] has begun.
    pub(crate) fn is_gone(&self) -> bool {
        self.queue.is_closed()
    }

    /// Lets go of the hardware: fails all transfers, stops the engine, wakes up all waiters and
    /// takes the memory away from all sessions.
    ///
    /// When this returns, nothing accesses DMA memory any more, there is none, and no work is
    /// pending.
    pub(crate) fn shut_down(&self) {
        self.queue.health().detach();
        self.queue.close();
        self.engine.quiesce();
        self.queue.end_moving();
        // The watchdog, which begins it, has been stopped.
        self.aftermath.end();

        let sessions = self.sessions.lock();
        for session in sessions.iter() {
            session.wake();
            session.gone();
        }
        for session in sessions.iter() {
            session.revoke();
        }
    }
}
