// SPDX-License-Identifier: GPL-2.0

//! One open file: its own buffer, its own stream, nothing shared with other sessions.

use kernel::{
    device::{
        self,
        Bound, //
    },
    new_mutex,
    new_poll_condvar,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        poll::PollCondVar,
        Arc,
        ArcBorrow,
        CondVarTimeoutResult,
        Mutex, //
    },
    time::Delta, //
};

use crate::{
    device::Device,
    dma::Buffer,
    queue::{
        Observer,
        Request,
        Transfer, //
    },
    stream::{
        self,
        Stream, //
    }, //
};

/// Number of the last session that was opened, on any device.
static LAST_SESSION: Atomic<u64> = Atomic::new(0);

/// An open file of a device.
#[pin_data]
pub(crate) struct Session {
    number: u64,
    device: Arc<Device>,
    buffer: Buffer,
    stream_area: Buffer,
    #[pin]
    stream: Mutex<Stream>,
    /// Notified, with `stream` having been locked in between, when a transfer of this session is
    /// done, when the stream has changed and when the device is gone.
    #[pin]
    changed: PollCondVar,
}

impl Session {
    /// Opens a session on `device`, with memory of the bus device `parent`.
    pub(crate) fn open(device: &Arc<Device>, parent: &device::Device<Bound>) -> Result<Arc<Self>> {
        if device.is_gone() {
            return Err(ENODEV);
        }

        let session = Arc::pin_init(
            try_pin_init!(Self {
                number: LAST_SESSION.fetch_add(1, Relaxed) + 1,
                device: device.clone(),
                buffer: Buffer::new(parent, device.buffer_bytes())?,
                stream_area: Buffer::new(parent, stream::AREA_BYTES)?,
                stream <- new_mutex!(Stream::new()?),
                changed <- new_poll_condvar!("dmacopy::Session::changed"),
            }),
            GFP_KERNEL,
        )?;
        device.add_session(session.clone())?;
        Ok(session)
    }

    /// Ends the session: takes back what still waits for the engine.
    ///
    /// A transfer that is being moved keeps its memory alive by itself.
    pub(crate) fn close(&self) {
        self.device.remove_session(self.number);
        self.cancel_stream(ENODEV);
    }

    /// The session's number, unique as long as the module is loaded.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The device that the session is on.
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The memory that user space maps and that [`Self::copy`] copies in.
    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The memory that the stream goes through.
    pub(crate) fn stream_area(&self) -> &Buffer {
        &self.stream_area
    }

    /// The state of the stream.
    pub(crate) fn stream(&self) -> &Mutex<Stream> {
        &self.stream
    }

    /// Where threads wait for anything that happens to this session.
    pub(crate) fn changed(&self) -> &PollCondVar {
        &self.changed
    }

    /// Makes all waiting threads look again.
    pub(crate) fn wake(&self) {
        // A thread that has looked before the change still holds the lock or sleeps already.
        drop(self.stream.lock());
        self.changed.notify_all();
    }

    /// Copies within the buffer and waits for the completion.
    ///
    /// Returns the transfer's number and how long it took. The caller has checked the ranges.
    pub(crate) fn copy(
        self: ArcBorrow<'_, Self>,
        source: usize,
        destination: usize,
        length: usize,
    ) -> Result<(u64, Delta)> {
        let queue = self.device.queue();
        let request = Request {
            buffer: self.buffer.clone(),
            source,
            destination,
            length,
        };
        let transfer = self.device.submit(request, Arc::<Self>::from(self))?;
        let sequence = transfer.sequence();

        let mut left = self.device.timeout();
        let mut guard = self.stream.lock();
        let waited = loop {
            if let Some(outcome) = transfer.outcome() {
                break Ok(outcome);
            }
            match self.changed.wait_interruptible_timeout(&mut guard, left) {
                CondVarTimeoutResult::Woken { jiffies } => left = jiffies,
                CondVarTimeoutResult::Timeout => break Err(ETIMEDOUT),
                // The ranges do not overlap, so the copy can be started again.
                CondVarTimeoutResult::Signal { .. } => break Err(ERESTARTSYS),
            }
        };
        drop(guard);

        let outcome = match waited {
            Ok(outcome) => outcome,
            Err(reason) => {
                if reason == ETIMEDOUT {
                    queue.health().stall(sequence);
                }
                if queue.cancel(&transfer, reason) {
                    return Err(reason);
                }
                // Too late: the engine is moving it, or has just done so.
                self.wait_done(&transfer)
            }
        };
        let duration = outcome?;
        // The engine may not have come to this yet, or it did before it was declared stalled.
        queue.health().recover(sequence);
        Ok((sequence, duration))
    }

    /// Waits for a transfer that the engine has taken; that takes no longer than the move.
    fn wait_done(&self, transfer: &Transfer) -> Result<Delta> {
        let mut guard = self.stream.lock();
        loop {
            if let Some(outcome) = transfer.outcome() {
                return outcome;
            }
            self.changed.wait(&mut guard);
        }
    }
}

impl Observer for Session {
    fn transfer_done(&self) {
        self.wake();
    }
}
