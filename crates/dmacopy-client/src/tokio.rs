// SPDX-License-Identifier: MIT OR Apache-2.0

//! Waiting in tokio's runtime: for pending work, for room, for events.
//!
//! A runtime tells one task at a time that a file is ready. So what is registered there wakes all
//! tasks of a queue, and the first of them that looks takes the completions of all.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use ::tokio::runtime::Handle;

use crate::error::Context as _;
use crate::flight::Ended;
use crate::memory::Link;
use crate::shared::{Shared, State};
use crate::tasks::Ticket;
use crate::{Batch, Done, Error, Event, Events, Operation, Pending, Queue, Refused};

/// A session's file in the runtime of whoever waits for it first.
#[derive(Debug, Default)]
pub(crate) struct Reactor(Mutex<Option<AsyncFd<Watched>>>);

/// A session's file, which stays open as long as it is registered.
#[derive(Debug)]
struct Watched(Arc<Link>);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.session.as_fd().as_raw_fd()
    }
}

impl Reactor {
    /// Whether something has been told since this was asked last. If not, all tasks are woken when
    /// something is; with `is_stuck`, also when the driver can take more.
    fn poll_told(&self, shared: &Shared, is_stuck: bool) -> Poll<Result<(), Error>> {
        let mut registered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = Waker::from(Arc::clone(&shared.tasks));
        let mut context = Context::from_waker(&waker);
        if let Some(file) = &*registered {
            match poll_ready(file, &mut context, is_stuck) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                // The runtime that it was registered in has ended.
                Poll::Ready(Err(_)) => *registered = None,
            }
        }
        let file = registered.insert(register(&shared.link)?);
        match ready!(poll_ready(file, &mut context, is_stuck)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(source) => Poll::Ready(failed(shared, source)),
        }
    }
}

/// Whether the file can be read or, with `is_stuck`, has room for more, since that was asked last.
fn poll_ready(
    file: &AsyncFd<Watched>,
    context: &mut Context<'_>,
    is_stuck: bool,
) -> Poll<io::Result<()>> {
    if let Poll::Ready(ready) = file.poll_read_ready(context) {
        return Poll::Ready(ready.map(|mut guard| guard.clear_ready()));
    }
    if !is_stuck {
        return Poll::Pending;
    }
    // The driver wakes who polls when a transfer ends, whatever for. It is the only word of a place
    // that has become free when its completion had been read before.
    let mut guard = ready!(file.poll_write_ready(context))?;
    guard.clear_ready();
    Poll::Ready(Ok(()))
}

fn register(link: &Arc<Link>) -> Result<AsyncFd<Watched>, Error> {
    let device = link.session.device();
    if Handle::try_current().is_err() {
        let device = device.to_owned();
        return Err(Error::NoRuntime { device });
    }
    watch(
        Watched(Arc::clone(link)),
        Interest::READABLE.add(Interest::WRITABLE),
    )
    .on(device, Operation::PollStream)
}

fn failed(shared: &Shared, source: io::Error) -> Result<(), Error> {
    let descriptor = shared.link.session.as_fd().as_raw_fd();
    Err(not_watched(descriptor, source)).on(shared.device(), Operation::PollStream)
}

/// Has the runtime tell when a file can be read, or written.
#[allow(
    deprecated,
    reason = "what follows it is unsafe, for types whose descriptor may change or be closed"
)]
fn watch<T: AsRawFd>(file: T, interest: Interest) -> Result<AsyncFd<T>, kernel_channels::Error> {
    let descriptor = file.as_raw_fd();
    AsyncFd::with_interest(file, interest).map_err(|source| not_watched(descriptor, source))
}

fn not_watched(descriptor: RawFd, source: io::Error) -> kernel_channels::Error {
    kernel_channels::Error::Descriptor {
        operation: kernel_channels::Operation::Poll,
        descriptor,
        source,
    }
}

impl Shared {
    /// Whether `find` finds something. If not, the task is woken when it may.
    fn poll<T>(
        &self,
        context: &Context<'_>,
        ticket: &Ticket,
        mut find: impl FnMut(&State) -> Option<T>,
    ) -> Poll<Result<T, Error>> {
        // Before it looks: what comes then is told.
        ticket.wait(context.waker());
        loop {
            let is_stuck = {
                let state = self.lock();
                if let Some(found) = find(&state) {
                    return Poll::Ready(Ok(found));
                }
                self.check_foreign(&state)?;
                state.is_stuck()
            };
            ready!(self.reactor.poll_told(self, is_stuck))?;
            self.look_once()?;
        }
    }
}

/// All of the work that remains, when it is done.
///
/// It can be dropped at any time, and polled by reference: what has come back stays in the
/// [`Pending`] until all of it is returned at once. With an error it can be polled again. A device
/// that goes is no error: then each piece of work says so.
///
/// # Panics
///
/// When the runtime was made without `enable_io`.
impl Future for Pending {
    type Output = Result<Vec<Done>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let all = this.remaining;
        let ended = ready!(this.poll_ended(context, |inbox| {
            (inbox.len() >= all).then(|| mem::take(inbox))
        }))?;
        let done = ended.into_iter().map(|ended| this.done(ended));
        Poll::Ready(Ok(done.collect()))
    }
}

impl Pending {
    /// Waits for the next that is done. None when all has been taken.
    ///
    /// Nothing is lost when the future is dropped: what comes meanwhile comes with the next call.
    ///
    /// # Errors
    ///
    /// [`Error::NoRuntime`]; else as [`Self::try_next`].
    pub async fn next_done(&mut self) -> Result<Option<Done>, Error> {
        if self.remaining == 0 {
            return Ok(None);
        }
        let next = poll_fn(|context| self.poll_ended(context, |inbox| inbox.pop_front()));
        let ended = next.await?;
        Ok(Some(self.done(ended)))
    }

    fn poll_ended<T>(
        &mut self,
        context: &Context<'_>,
        mut find: impl FnMut(&mut VecDeque<Ended>) -> Option<T>,
    ) -> Poll<Result<T, Error>> {
        let shared = &self.queue.shared;
        let ticket = self
            .ticket
            .get_or_insert_with(|| Ticket::new(&shared.tasks));
        let inbox = &self.inbox;
        let found = ready!(shared.poll(context, ticket, |_| find(&mut inbox.lock())));
        self.ticket = None;
        Poll::Ready(found)
    }
}

impl Queue {
    /// Waits until a batch of `count` finds room, as [`Self::wait_for_room`]. Others may be faster.
    ///
    /// # Errors
    ///
    /// As [`Self::wait_for_room`], and [`Error::NoRuntime`].
    pub async fn room(&self, count: usize) -> Result<(), Error> {
        self.shared.has_room_one_day(count)?;
        let ticket = Ticket::new(&self.shared.tasks);
        let find = |state: &State| self.shared.room(state, count);
        poll_fn(|context| self.shared.poll(context, &ticket, find)).await?
    }
}

impl Batch {
    /// Submits as soon as there is room. When the future is dropped before that, the batch is, too,
    /// and its regions are free again.
    ///
    /// # Errors
    ///
    /// As [`Self::submit`], but for [`Error::Full`] only when there will never be room, and
    /// [`Error::NoRuntime`].
    pub async fn submit_when_there_is_room(self) -> Result<Pending, Refused> {
        let mut batch = self;
        loop {
            let refused = match batch.submit() {
                Ok(pending) => return Ok(pending),
                Err(refused) => refused,
            };
            let is_full = matches!(
                refused.error(),
                Error::Full { wanted, entries, .. } if wanted <= entries
            );
            if !is_full {
                return Err(refused);
            }
            batch = refused.into_batch();
            let waited = batch.queue().room(batch.len()).await;
            if let Err(error) = waited {
                return Err(batch.refused(error));
            }
        }
    }
}

/// Events in tokio's runtime, from [`Events::into_stream`].
#[derive(Debug)]
pub struct EventStream {
    file: AsyncFd<Listening>,
}

/// The socket that events come from.
#[derive(Debug)]
struct Listening(Events);

impl AsRawFd for Listening {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Events {
    /// The same events, for the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// [`Error::Events`] when they cannot be waited for.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, and when it was made without `enable_io`.
    pub fn into_stream(self) -> Result<EventStream, Error> {
        let file = watch(Listening(self), Interest::READABLE).map_err(Error::Events)?;
        Ok(EventStream { file })
    }
}

impl EventStream {
    /// Waits for the next event. None is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// As [`Events::next`].
    pub async fn next(&mut self) -> Result<Event, Error> {
        let now = Some(Duration::ZERO);
        loop {
            // There may be more that came with the last one.
            if let Some(event) = self.file.get_mut().0.next(now)? {
                return Ok(event);
            }
            let descriptor = self.file.as_raw_fd();
            let mut guard = self
                .file
                .readable_mut()
                .await
                .map_err(|source| Error::Events(not_watched(descriptor, source)))?;
            guard.clear_ready();
        }
    }
}
