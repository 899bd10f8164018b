// SPDX-License-Identifier: GPL-2.0

//! One open file: its own buffer, its own stream, nothing shared with other sessions.

use kernel::{
    new_mutex,
    page::page_align,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        poll::PollCondVar,
        Arc,
        ArcBorrow,
        Mutex, //
    },
    time::Delta, //
};

use crate::{
    buffers::Buffers,
    device::Device,
    dma::Buffer,
    lane::{
        Lane,
        Place, //
    },
    limits::{
        Account,
        Charge, //
    },
    notify::{
        Coalescing,
        Notifier, //
    },
    ring::Rings,
    stream::{
        self,
        Stream, //
    },
    sys::{
        fasync::AsyncQueue,
        miscdevice::Closed, //
    },
    transfer::{
        Observer,
        Request,
        Transfer, //
    },
    uapi::ring, //
};

/// Number of the last session that was opened, on any device.
static LAST_SESSION: Atomic<u64> = Atomic::new(0);

/// An open file of a device.
#[pin_data]
pub(crate) struct Session {
    number: u64,
    device: Arc<Device>,
    /// Where its transfers wait.
    lane: Arc<Lane>,
    buffer_bytes: usize,
    account: Arc<Account>,
    /// For `buffer` and `stream_area`.
    _charge: Charge,
    /// The buffer, and the rings behind it.
    buffer: Buffer,
    #[pin]
    buffers: Mutex<Buffers>,
    stream_area: Buffer,
    #[pin]
    stream: Mutex<Stream>,
    #[pin]
    rings: Mutex<Rings>,
    /// Told, with `stream` having been locked in between, when a transfer of this session is done,
    /// when the stream has changed and when the device is gone.
    notifier: Arc<Notifier>,
}

impl Session {
    /// Opens a session on `device`.
    ///
    /// It is charged for its memory at once, and gets it when it uses it: what is called here keeps
    /// other devices from being opened.
    pub(crate) fn open(device: &Arc<Device>, signals: Arc<AsyncQueue>) -> Result<Arc<Self>> {
        let (buffer_bytes, ring_entries) = (device.buffer_bytes(), device.ring_entries());
        // Whole pages, as the buffer is: what is mapped is nobody else's.
        let area_bytes = buffer_bytes + page_align(ring::bytes(ring_entries)).ok_or(EINVAL)?;
        let account = Account::new(device.limits())?;
        let charge = account.charge(area_bytes.checked_add(stream::AREA_BYTES).ok_or(EINVAL)?)?;
        let coalescing = Coalescing::new(device.coalesce_count(), device.coalesce_us())?;
        let session = Arc::pin_init(
            try_pin_init!(Self {
                number: LAST_SESSION.fetch_add(1, Relaxed) + 1,
                device: device.clone(),
                lane: device.queue().lane()?,
                buffer_bytes,
                account,
                _charge: charge,
                buffer: Buffer::new(device.binding(), area_bytes)?,
                buffers <- new_mutex!(Buffers::new()),
                stream_area: Buffer::new(device.binding(), stream::AREA_BYTES)?,
                stream <- new_mutex!(Stream::new()?),
                rings <- new_mutex!(Rings::new(ring_entries)),
                notifier: Notifier::new(signals, coalescing)?,
            }),
            GFP_KERNEL,
        )?;
        device.add_session(session.clone())?;
        Ok(session)
    }

    /// Ends the session: takes back what still waits for the engine, waits for what it is moving,
    /// and frees the memory.
    pub(crate) fn close(&self, file: &Closed<'_>) {
        self.end_stream();
        self.end_rings();
        self.notifier.stop();
        self.buffer.free(file);
        self.stream_area.free(file);
        self.revoke_buffers();
        // Last, so that otherwise `Device::shut_down` frees the memory, or waits until it is.
        self.device.remove_session(self.number);
    }

    /// Takes the memory away from the session and from who has mapped it.
    ///
    /// The engine must not be using it any more.
    pub(crate) fn revoke(&self) {
        self.buffer.revoke();
        self.stream_area.revoke();
        self.revoke_buffers();
        self.notifier.forget();
    }

    /// The session's number, unique as long as the module is loaded.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The device that the session is on.
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Where the session's transfers wait for the engine.
    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Queues a transfer; the session is told when it is done.
    pub(crate) fn submit_transfer(
        self: ArcBorrow<'_, Self>,
        place: Place,
        request: Request,
    ) -> Result<Arc<Transfer>> {
        let queue = self.device.queue();
        queue.submit(place, request, Arc::<Self>::from(self))
    }

    /// A place for a transfer; `EBUSY` if as many are under way as there may be.
    pub(crate) fn admit(&self) -> Result<Place> {
        self.lane
            .admit(self.device.limits().session_transfers.get())
    }

    /// Whether there is one now.
    pub(crate) fn has_place(&self) -> bool {
        self.lane.in_flight() < self.device.limits().session_transfers.get()
    }

    /// What the session is charged for.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// How much of [`Self::buffer`] transfers can use, in bytes: all but the rings.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// The memory that user space maps and that transfers move in: the buffer, then the rings.
    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The buffers with other numbers than 0.
    pub(crate) fn buffers(&self) -> &Mutex<Buffers> {
        &self.buffers
    }

    /// The memory that the stream goes through.
    pub(crate) fn stream_area(&self) -> &Buffer {
        &self.stream_area
    }

    /// The state of the stream.
    pub(crate) fn stream(&self) -> &Mutex<Stream> {
        &self.stream
    }

    /// Where the driver is in the rings.
    pub(crate) fn rings(&self) -> &Mutex<Rings> {
        &self.rings
    }

    /// Where threads wait for anything that happens to this session.
    pub(crate) fn changed(&self) -> &PollCondVar {
        self.notifier.changed()
    }

    /// How the client is told.
    pub(crate) fn notifier(&self) -> &Arc<Notifier> {
        &self.notifier
    }

    /// Makes all waiting threads look again.
    pub(crate) fn wake(&self) {
        // A thread that has looked before the change still holds the lock or sleeps already.
        drop(self.stream.lock());
        self.changed().notify_all();
    }

    /// Tells that the device has gone, after [`Self::wake`].
    pub(crate) fn gone(&self) {
        self.with_commands(|commands| commands.end_all(ENODEV));
        self.notifier.gone();
    }

    /// Has the engine do what has been checked, and waits for the completion.
    ///
    /// Returns the transfer's number and how long it took.
    pub(crate) fn transfer(self: ArcBorrow<'_, Self>, request: Request) -> Result<(u64, Delta)> {
        request.allocate()?;
        let place = self.admit()?;
        // Without a transfer, the place is free again, and a write may wait for it.
        let transfer = self
            .submit_transfer(place, request)
            .inspect_err(|_| self.wake())?;

        let _sleeper = self.notifier.sleeper();
        let mut guard = self.stream.lock();
        let outcome = loop {
            if let Some(outcome) = transfer.outcome() {
                break outcome;
            }
            if self.changed().wait_interruptible(&mut guard) {
                drop(guard);
                // A copy's ranges do not overlap, so it can be started again.
                if self
                    .device
                    .queue()
                    .cancel(&self.lane, &transfer, ERESTARTSYS)
                {
                    // A write may wait for its place.
                    self.wake();
                    return Err(ERESTARTSYS);
                }
                // Too late: the engine is moving it, or has just done so.
                break self.wait_done(&transfer);
            }
        };
        Ok((transfer.sequence(), outcome?))
    }

    /// Waits for a transfer that the engine has taken; that takes no longer than the move.
    fn wait_done(&self, transfer: &Transfer) -> Result<Delta> {
        let mut guard = self.stream.lock();
        loop {
            if let Some(outcome) = transfer.outcome() {
                return outcome;
            }
            self.changed().wait(&mut guard);
        }
    }
}

impl Observer for Session {
    fn transfer_done(&self) {
        self.tell(self.post_completions());
    }
}
