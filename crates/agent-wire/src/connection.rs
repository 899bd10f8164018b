// SPDX-License-Identifier: MIT OR Apache-2.0

//! A link at work: two threads between a line and whoever talks over it.
//!
//! One thread reads the line; the other owns the [`Link`], writes, and keeps the time. Nobody can
//! run the memory full: who sends too much waits, and what is not taken in is not acknowledged.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel,
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::link::{Event, Line, Link, Quality, Side};

/// How much is read from a line at a time, in bytes.
const CHUNK: usize = 64 << 10;

/// How many pieces that were read may wait for the other thread.
const PIECES: usize = 64;

/// How much may wait to be taken in by whoever listens, in bytes.
const ROOM: usize = 4 << 20;

/// What a connection brings.
#[derive(Debug)]
pub enum Incoming {
    /// The other side is there; see [`Event::Connected`].
    Connected,
    /// A message has come.
    Message(Vec<u8>),
    /// The other side has started anew; see [`Event::Restarted`].
    Restarted,
    /// Bytes that belong to no frame.
    Text(Vec<u8>),
    /// The line has ended, and why if that was not in order. Nothing follows.
    Closed(Option<io::Error>),
}

impl Incoming {
    fn bytes(&self) -> usize {
        match self {
            Self::Message(bytes) | Self::Text(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// The line has ended, so nothing can be sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the connection is closed")]
pub struct Closed;

/// How often one who waits for room looks whether the other side is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Where messages go out. All clones send over the same connection, which ends with the last.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Handle>);

/// Where messages come in.
#[derive(Debug)]
pub struct Inbox {
    incoming: Receiver<Incoming>,
    shared: Arc<Shared>,
    input: SyncSender<Input>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    input: SyncSender<Input>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// How much waits to be taken in, in bytes.
    untaken: AtomicUsize,
    stopped: AtomicBool,
    /// How much may wait to be sent, in bytes.
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    /// What has been handed over, in bytes, and not been taken by the link yet.
    queued: usize,
    /// What the link has taken and the other side has not acknowledged yet, in bytes.
    backlog: usize,
    closed: bool,
    quality: Quality,
    unanswered: Option<Instant>,
}

#[derive(Debug)]
enum Input {
    Bytes(Vec<u8>),
    Send(Vec<u8>),
    /// There is room again.
    Room,
    Ended(Option<io::Error>),
    Stop,
}

/// Begins to talk over a line. A `reader` that returns [`ErrorKind::TimedOut`] or
/// [`ErrorKind::WouldBlock`] is asked again, so that it can be seen that the connection has ended.
pub fn start(
    reader: impl Read + Send + 'static,
    writer: impl Write + Send + 'static,
    line: Line,
    side: Side,
) -> (Outbox, Inbox) {
    let (input, inputs) = sync_channel(PIECES);
    let (sender, incoming) = channel();
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        changed: Condvar::new(),
        untaken: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
        limit: line.window * 2,
    });
    let (to_link, stop) = (input.clone(), shared.clone());
    thread::spawn(move || read(reader, &to_link, &stop));
    let worker = Worker {
        link: Link::new(line, side),
        writer,
        inputs,
        sender,
        shared: shared.clone(),
    };
    thread::spawn(move || worker.work());
    let outbox = Outbox(Arc::new(Handle {
        shared: shared.clone(),
        input: input.clone(),
    }));
    let inbox = Inbox {
        incoming,
        shared,
        input,
    };
    (outbox, inbox)
}

impl Outbox {
    /// Sends a message, as soon as not too much waits before it.
    ///
    /// # Errors
    ///
    /// When the line has ended.
    pub fn send(&self, message: Vec<u8>) -> Result<(), Closed> {
        self.send_unless_silent(message, Duration::MAX)
    }

    /// As [`send`](Self::send), but gives up, too, when the other side has acknowledged nothing for
    /// so long although it should have: a line may be cut without an end.
    ///
    /// # Errors
    ///
    /// When the line has ended, or the other side is silent.
    pub fn send_unless_silent(&self, message: Vec<u8>, silence: Duration) -> Result<(), Closed> {
        let shared = &self.0.shared;
        let mut state = shared.lock();
        while state.queued + state.backlog >= shared.limit && !state.closed {
            let unanswered = state.unanswered.map(|since| since.elapsed());
            if unanswered.is_some_and(|unanswered| unanswered >= silence) {
                return Err(Closed);
            }
            let waited = shared.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.closed {
            return Err(Closed);
        }
        state.queued += message.len();
        drop(state);
        self.0.input.send(Input::Send(message)).map_err(|_| Closed)
    }

    /// Waits until all that was sent has arrived; whether it has.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.0.shared.lock();
        while state.queued + state.backlog > 0 && !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.0.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.queued + state.backlog == 0
    }

    /// Ends the connection, whoever else sends over it: soon both ends of the line are let go of.
    pub fn close(&self) {
        self.0.end();
    }

    /// For how long the other side has acknowledged nothing although it should have.
    pub fn unanswered(&self) -> Duration {
        let since = self.0.shared.lock().unanswered;
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// How the line has been so far.
    pub fn quality(&self) -> Quality {
        self.0.shared.lock().quality
    }
}

impl Handle {
    fn end(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // It may have ended already.
        let _ = self.input.send(Input::Stop);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

impl Inbox {
    /// Waits for what comes next.
    ///
    /// # Errors
    ///
    /// When nothing has come in time, or nothing will.
    pub fn receive(&self, limit: Duration) -> Result<Incoming, RecvTimeoutError> {
        let incoming = self.incoming.recv_timeout(limit)?;
        self.took(&incoming);
        Ok(incoming)
    }

    /// Waits for what comes next, however long that takes. None when nothing will.
    pub fn next(&self) -> Option<Incoming> {
        let incoming = self.incoming.recv().ok()?;
        self.took(&incoming);
        Some(incoming)
    }

    fn took(&self, incoming: &Incoming) {
        let bytes = incoming.bytes();
        let before = self.shared.untaken.fetch_sub(bytes, Ordering::Relaxed);
        if before >= ROOM && before - bytes < ROOM {
            // It may have ended already.
            let _ = self.input.send(Input::Room);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(mut reader: impl Read, input: &SyncSender<Input>, shared: &Shared) {
    let mut buffer = vec![0; CHUNK];
    let end = loop {
        if shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        match reader.read(&mut buffer) {
            Ok(0) => break None,
            Ok(length) => {
                if input.send(Input::Bytes(buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::WouldBlock => {}
                _ => break Some(error),
            },
        }
    };
    // Nobody listens any more once the connection has ended.
    let _ = input.send(Input::Ended(end));
}

/// The thread that owns the link.
struct Worker<W> {
    link: Link,
    writer: W,
    inputs: Receiver<Input>,
    sender: Sender<Incoming>,
    shared: Arc<Shared>,
}

impl<W: Write> Worker<W> {
    fn work(mut self) {
        let end = self.work_to_end();
        let mut state = self.shared.lock();
        state.closed = true;
        drop(state);
        self.shared.changed.notify_all();
        self.tell(Incoming::Closed(end));
    }

    fn work_to_end(&mut self) -> Option<io::Error> {
        loop {
            let mut wrote = false;
            while let Some(bytes) = self.link.transmit(Instant::now()) {
                if let Err(error) = self.writer.write_all(&bytes) {
                    return Some(error);
                }
                wrote = true;
                // Acknowledgements that have come meanwhile let more be sent, or less again.
                match self.inputs.try_recv() {
                    Ok(input) => {
                        if let Some(end) = self.take(input) {
                            return end;
                        }
                    }
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => return None,
                }
            }
            if let Err(error) = if wrote { self.writer.flush() } else { Ok(()) } {
                return Some(error);
            }
            self.publish();
            let input = match self.link.deadline() {
                None => self.inputs.recv().ok(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    match self.inputs.recv_timeout(left) {
                        Ok(input) => Some(input),
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => None,
                    }
                }
            };
            if let Some(end) = self.take(input?) {
                return end;
            }
        }
    }

    /// Handles one input; with it the line may have ended.
    fn take(&mut self, input: Input) -> Option<Option<io::Error>> {
        match input {
            Input::Bytes(bytes) => {
                self.link.set_full(self.is_full());
                for event in self.link.receive(&bytes, Instant::now()) {
                    self.tell(match event {
                        Event::Connected => Incoming::Connected,
                        Event::Message(message) => Incoming::Message(message),
                        Event::Restarted => Incoming::Restarted,
                        Event::Text(text) => Incoming::Text(text),
                    });
                }
            }
            Input::Send(message) => {
                self.link.send(&message);
                let mut state = self.shared.lock();
                state.queued -= message.len();
                state.backlog = self.link.backlog();
            }
            Input::Room => self.link.set_full(self.is_full()),
            Input::Ended(end) => return Some(end),
            Input::Stop => return Some(None),
        }
        None
    }

    fn is_full(&self) -> bool {
        self.shared.untaken.load(Ordering::Relaxed) >= ROOM
    }

    fn tell(&self, incoming: Incoming) {
        let bytes = incoming.bytes();
        self.shared.untaken.fetch_add(bytes, Ordering::Relaxed);
        // Who does not listen any more may still send.
        let _ = self.sender.send(incoming);
    }

    /// Lets senders see how things are.
    fn publish(&self) {
        let mut state = self.shared.lock();
        state.backlog = self.link.backlog();
        state.quality = self.link.quality();
        state.unanswered = self.link.unanswered_since();
        drop(state);
        self.shared.changed.notify_all();
    }
}
