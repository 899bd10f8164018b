// SPDX-License-Identifier: GPL-2.0

//! One device, as all rooms see it.
//!
//! # Lifetimes
//!
//! A [`Device`] is reference-counted, because open files outlive the binding of the driver. After
//! [`Device::shut_down`] it is *gone*: the queue takes nothing more, the engine has come to rest,
//! and whatever a session asks for is answered with `ENODEV`.
//!
//! # Lock order
//!
//! 1. `Registry::devices`
//! 2. `Device::sessions`
//! 3. `Session::stream`
//! 4. `Queue::inner`
//!
//! `Health::class_device` is taken with none of them held. No lock is held while user memory is
//! accessed, so the mmap lock, with which `mmap` is called, comes before all of them.

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
    },
    time::{
        msecs_to_jiffies,
        Jiffies, //
    }, //
};

use crate::{
    engine::{
        Engine,
        Software, //
    },
    queue::{
        Observer,
        Queue,
        Request,
        Transfer, //
    },
    session::Session,
    uapi::names, //
};

/// The largest buffer that a session can have, in bytes.
const MAX_BUFFER_BYTES: usize = 4 << 20;
/// The longest time that a transfer may be given, in milliseconds.
const MAX_TIMEOUT_MS: u32 = 60_000;

/// A DMA copy engine with its queue and its sessions.
#[pin_data]
pub(crate) struct Device {
    number: u32,
    name: CString,
    engine: KBox<dyn Engine>,
    queue: Arc<Queue>,
    buffer_bytes: Atomic<usize>,
    timeout_ms: Atomic<u32>,
    #[pin]
    sessions: Mutex<KVec<Arc<Session>>>,
}

impl Device {
    /// Creates device number `number` with the software engine.
    pub(crate) fn new(number: u32) -> Result<Arc<Self>> {
        let name = CString::try_from_fmt(fmt!("{}{}", names::DRIVER, number))?;
        let queue = Queue::new()?;
        let engine = KBox::new(Software::new(&name, queue.clone())?, GFP_KERNEL)?;

        Arc::pin_init(
            pin_init!(Self {
                number,
                name,
                engine,
                queue,
                buffer_bytes: Atomic::new(64 << 10),
                timeout_ms: Atomic::new(1000),
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

    /// What moves the bytes.
    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The transfers that wait for the engine.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
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

    /// How long a transfer may take, in milliseconds.
    pub(crate) fn timeout_ms(&self) -> u32 {
        self.timeout_ms.load(Relaxed)
    }

    /// How long a transfer may take.
    pub(crate) fn timeout(&self) -> Jiffies {
        msecs_to_jiffies(self.timeout_ms())
    }

    /// Sets how long a transfer may take.
    pub(crate) fn set_timeout_ms(&self, milliseconds: u32) -> Result {
        if !(1..=MAX_TIMEOUT_MS).contains(&milliseconds) {
            return Err(EINVAL);
        }
        self.timeout_ms.store(milliseconds, Relaxed);
        Ok(())
    }

    /// Queues a transfer; `observer` is told when it is done.
    pub(crate) fn submit(
        &self,
        request: Request,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Transfer>> {
        self.queue.submit(self.engine(), request, observer)
    }

    /// The number of open sessions.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Adds a session, to be woken up when the device goes.
    pub(crate) fn add_session(&self, session: Arc<Session>) -> Result {
        Ok(self.sessions.lock().push(session, GFP_KERNEL)?)
    }

    /// Removes a session.
    pub(crate) fn remove_session(&self, number: u64) {
        self.sessions
            .lock()
            .retain(|session| session.number() != number);
    }

    /// Whether [`Self::shut_down`] has begun.
    pub(crate) fn is_gone(&self) -> bool {
        self.queue.is_closed()
    }

    /// Lets go of the hardware: fails all transfers, stops the engine and wakes up all waiters.
    ///
    /// When this returns, the engine accesses no memory any more and no work is pending.
    pub(crate) fn shut_down(&self) {
        self.queue.health().detach();
        self.queue.close();
        self.engine.quiesce();
        for session in self.sessions.lock().iter() {
            session.wake();
        }
    }
}
