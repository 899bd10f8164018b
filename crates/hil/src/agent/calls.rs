// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests under way, and the thread that hands each its replies.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::connection::{Inbox, Incoming, Outbox, start};
use agent_wire::link::{Line, Quality, Side};
use agent_wire::message::{self, Answer, Reply, Request, decode, encode};

use crate::{Console, Error, Fate, Lost};

/// How often a waiter looks whether the board is lost.
const LOOK: Duration = Duration::from_millis(50);

/// How long the console is listened to after the line to the agent has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// After how much silence a board is taken for lost. A busy emulated one may take seconds.
const SILENCE: Duration = Duration::from_secs(20);

/// A line to an agent.
#[derive(Debug)]
pub struct Ends<R, W> {
    /// What comes from the board.
    pub reader: R,
    /// What goes to the board.
    pub writer: W,
    /// What the line can bear.
    pub line: Line,
    /// Whether it is the console too: what is not the agent's goes to the console's log.
    pub is_console: bool,
}

/// All requests of one connection.
#[derive(Debug)]
pub(super) struct Calls {
    outbox: Outbox,
    pending: Arc<Pending>,
    next: AtomicU32,
    console: Console,
    fate: Fate,
}

/// Where the replies to each request go.
type Pending = Mutex<HashMap<u32, Sender<Reply>>>;

impl Calls {
    pub(super) fn start(
        ends: Ends<impl Read + Send + 'static, impl Write + Send + 'static>,
        console: Console,
        fate: Fate,
    ) -> Arc<Self> {
        let Ends {
            reader,
            writer,
            line,
            is_console,
        } = ends;
        let (outbox, inbox) = start(reader, writer, line, Side::Caller);
        let pending = Arc::new(Pending::default());
        let (to, end) = (pending.clone(), fate.clone());
        let log = is_console.then(|| console.clone());
        thread::spawn(move || dispatch(&inbox, &to, log.as_ref(), &end));
        Arc::new(Self {
            outbox,
            pending,
            next: AtomicU32::new(1),
            console,
            fate,
        })
    }

    /// The console's last lines.
    pub(super) fn console(&self) -> Vec<String> {
        self.console.last()
    }

    /// Whether the board has not been lost.
    pub(super) fn is_open(&self) -> bool {
        self.fate.decided().is_none()
    }

    /// Ends the connection, whoever else makes requests.
    pub(super) fn hang_up(&self) {
        self.outbox.close();
    }

    /// How the line has been so far.
    pub(super) fn quality(&self) -> Quality {
        self.outbox.quality()
    }

    /// Sends a request.
    pub(super) fn begin(self: &Arc<Self>, request: Request) -> Result<Call, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, replies) = channel();
        lock(&self.pending).insert(number, sender);
        let caller = Caller {
            calls: self.clone(),
            number,
        };
        let call = Call { caller, replies };
        call.send(request)?;
        Ok(call)
    }

    fn lost(&self) -> Option<Error> {
        let mut lost = self.fate.decided()?;
        // Console and agent are heard by two threads: when one has ended, the other may still have
        // something to say that came before.
        let deadline = Instant::now() + LAST_WORDS;
        while lost.may_be_explained() && Instant::now() < deadline {
            thread::sleep(LOOK / 5);
            lost = self.fate.decided()?;
        }
        Some(Error::Lost {
            lost,
            console: self.console.last(),
        })
    }
}

fn dispatch(inbox: &Inbox, pending: &Pending, console: Option<&Console>, fate: &Fate) {
    while let Some(incoming) = inbox.next() {
        match incoming {
            Incoming::Message(bytes) => match decode::<Answer>(&bytes) {
                Ok(answer) => {
                    // Who does not wait any more has forgotten his number.
                    if let Some(sender) = lock(pending).get(&answer.number) {
                        let _ = sender.send(answer.reply);
                    }
                }
                Err(error) => fate.decide(Lost::Closed {
                    reason: Some(error.to_string()),
                }),
            },
            Incoming::Text(text) => {
                if let Some(console) = console {
                    console.push(&text);
                }
            }
            Incoming::Connected => {}
            Incoming::Restarted => fate.decide(Lost::Restarted),
            Incoming::Closed(reason) => fate.decide(Lost::Closed {
                reason: reason.map(|error| error.to_string()),
            }),
        }
    }
}

fn lock(pending: &Pending) -> std::sync::MutexGuard<'_, HashMap<u32, Sender<Reply>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who has made a request, and may go on with it.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    calls: Arc<Calls>,
    number: u32,
}

impl Caller {
    /// Sends another request with the same number.
    pub(super) fn send(&self, request: Request) -> Result<(), Error> {
        let number = self.number;
        let call = message::Call { number, request };
        let bytes = encode(&call).map_err(Error::Unreadable)?;
        let outbox = &self.calls.outbox;
        let sent = outbox.send_unless_silent(bytes, SILENCE);
        sent.map_err(|_| {
            let silence = outbox.unanswered();
            if silence >= SILENCE {
                self.calls.fate.decide(Lost::Silent { silence });
            }
            self.calls.lost().unwrap_or(Error::Unconnected)
        })
    }
}

/// One request under way.
#[derive(Debug)]
pub(super) struct Call {
    caller: Caller,
    replies: Receiver<Reply>,
}

impl Call {
    /// Who has made it.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Sends another request with the same number.
    pub(super) fn send(&self, request: Request) -> Result<(), Error> {
        self.caller.send(request)
    }

    /// The next reply. One that says why something could not be done is an error.
    pub(super) fn reply(&self, limit: Duration) -> Result<Reply, Error> {
        refused(self.any_reply(limit)?)
    }

    /// The same, even if nothing is acknowledged for a long time: a board that boots.
    pub(super) fn reply_however_silent(&self, limit: Duration) -> Result<Reply, Error> {
        refused(self.wait(limit, Duration::MAX)?)
    }

    /// The next reply, whatever it says.
    pub(super) fn any_reply(&self, limit: Duration) -> Result<Reply, Error> {
        self.wait(limit, SILENCE)
    }

    fn wait(&self, limit: Duration, silence: Duration) -> Result<Reply, Error> {
        let begun = Instant::now();
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            match self.replies.recv_timeout(left.min(LOOK)) {
                Ok(reply) => return Ok(reply),
                // It is forgotten only when this is dropped.
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Unconnected),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let unanswered = self.caller.calls.outbox.unanswered();
            if unanswered >= silence {
                let silence = unanswered;
                self.caller.calls.fate.decide(Lost::Silent { silence });
            }
            if let Some(lost) = self.caller.calls.lost() {
                return Err(lost);
            }
            if left.is_zero() {
                return Err(Error::Unanswered { limit });
            }
        }
    }

    /// A reply that has come already.
    pub(super) fn reply_by_now(&self) -> Option<Result<Reply, Error>> {
        Some(refused(self.replies.try_recv().ok()?))
    }
}

/// A reply that says why something could not be done is an error.
fn refused(reply: Reply) -> Result<Reply, Error> {
    match reply {
        Reply::Failed(failure) => Err(Error::Refused(failure)),
        reply => Ok(reply),
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        lock(&self.caller.calls.pending).remove(&self.caller.number);
    }
}
