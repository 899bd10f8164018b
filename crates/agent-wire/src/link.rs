// SPDX-License-Identifier: MIT OR Apache-2.0

//! A reliable order of messages over a line that loses, doubles and garbles bytes.
//!
//! Each message is cut into numbered frames. The receiver takes them in order only, acknowledges
//! what has come, and says so when one is missing or was damaged; the sender then goes back to it
//! (go-back-N). As many bytes are on their way unacknowledged as the line can hold, and no more: a
//! serial line without flow control loses what its receiver has no room for.
//!
//! One side calls and the other answers. Each start of a side is an incarnation with a number of
//! its own, which every frame carries: so neither side takes what was meant for a predecessor, and
//! the caller notices that the board has started anew.
//!
//! There is no input and no output in here, and no clock but the one that is handed in: what
//! happens in which order is decided by the caller of these functions, in tests too.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::frame::{Frame, Kind};
use crate::sieve::{Heard, Sieve};

/// The longest message, in bytes. More than that is no message but a mistake.
const LONGEST_MESSAGE: usize = 4 << 20;

/// How often the time until the next attempt is doubled.
const DOUBLINGS: u32 = 3;

/// What a line can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much may be on its way unacknowledged, in bytes on the line.
    pub window: usize,
    /// How much payload one frame carries at most, in bytes.
    pub payload: usize,
    /// When what is not acknowledged is sent again, for the first time.
    pub patience: Duration,
}

impl Line {
    /// A socket or a pipe, or an emulated device that is one: nothing is lost, so frames are large
    /// and patience is long.
    pub const STREAM: Self = Self {
        window: 512 << 10,
        payload: 24 << 10,
        patience: Duration::from_secs(2),
    };

    /// A serial line without flow control. A terminal's buffer takes 4 KiB in Linux, and at 115 200
    /// baud that takes 0.36 s.
    pub const SERIAL: Self = Self {
        window: 4096,
        payload: 600,
        patience: Duration::from_millis(800),
    };
}

/// Which side a link is the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that begins to talk: the PC.
    Caller,
    /// The one that answers whoever calls: the agent.
    Answerer,
}

/// What has happened on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The other side is there. For an answerer this may come more than once: each time somebody
    /// else calls, and what was meant for the one before is gone.
    Connected,
    /// A message has come.
    Message(Vec<u8>),
    /// The side that was called has started anew, and has forgotten everything. The link of a
    /// caller is of no use after that.
    Restarted,
    /// Bytes that belong to no frame: on a console, what the kernel prints.
    Text(Vec<u8>),
}

/// How a line has been so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Frames that came whole.
    pub frames: u64,
    /// Frames that came damaged.
    pub damaged: u64,
    /// Frames that were sent again.
    pub resent: u64,
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    line: Line,
    side: Side,
    us: u32,
    /// The other side's incarnation, 0 as long as it is not known.
    peer: u32,
    sieve: Sieve,
    sending: Sending,
    receiving: Receiving,
    quality: Quality,
    /// A beacon is to be sent.
    beacon: bool,
}

#[derive(Debug, Default)]
struct Sending {
    /// Pieces that have not been sent yet.
    waiting: VecDeque<(Kind, Vec<u8>)>,
    waiting_bytes: usize,
    /// Pieces that have not been acknowledged yet, oldest first.
    flying: VecDeque<Flying>,
    flying_bytes: usize,
    /// The number of the next piece that is sent for the first time.
    next: u32,
    /// How many of the flying ones are to be sent again, from the oldest on.
    again: usize,
    /// How many of those have been by now.
    resent: usize,
    /// How often patience has run out since the last progress.
    disappointments: u32,
    /// When the oldest was sent last.
    since: Option<Instant>,
    /// Since when nothing has been acknowledged although something is flying.
    unanswered: Option<Instant>,
}

#[derive(Debug)]
struct Flying {
    sequence: u32,
    kind: Kind,
    payload: Vec<u8>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Receiving {
    awaited: u32,
    message: Vec<u8>,
    /// More of the message has come than is taken in: none of it is.
    is_too_long: bool,
    /// An acknowledgement is owed, if nothing else is sent that carries it.
    owed: bool,
    /// It has to say that something is missing.
    gap: bool,
    /// For which number that was said last, and when: once is enough for a while.
    complained: Option<(u32, Instant)>,
    /// Nothing more is taken in.
    full: bool,
    /// Something was turned away because of that.
    refused: bool,
}

impl Link {
    /// An end that nothing is connected to yet. An answerer's first frame is a beacon.
    pub fn new(line: Line, side: Side) -> Self {
        Self {
            line,
            side,
            us: incarnation(),
            peer: 0,
            sieve: Sieve::default(),
            sending: Sending::default(),
            receiving: Receiving::default(),
            quality: Quality::default(),
            beacon: side == Side::Answerer,
        }
    }

    /// How the line has been so far.
    pub fn quality(&self) -> Quality {
        self.quality
    }

    /// Bytes that wait to be sent or to be acknowledged.
    pub fn backlog(&self) -> usize {
        self.sending.waiting_bytes + self.sending.flying_bytes
    }

    /// Since when the other side has acknowledged nothing although it should have.
    pub fn unanswered_since(&self) -> Option<Instant> {
        self.sending.unanswered
    }

    /// Takes in nothing more as long as it is `full`, but still hears what is acknowledged. What the
    /// other side sends meanwhile, it sends again later.
    pub fn set_full(&mut self, full: bool) {
        self.receiving.full = full;
        if !full && std::mem::take(&mut self.receiving.refused) {
            self.receiving.owed = true;
            self.receiving.gap = true;
        }
    }

    /// Puts a message in the queue.
    pub fn send(&mut self, message: &[u8]) {
        let mut pieces = message.chunks(self.line.payload.max(1)).peekable();
        if pieces.peek().is_none() {
            self.sending.push(Kind::Last, &[]);
        }
        while let Some(piece) = pieces.next() {
            let kind = if pieces.peek().is_some() {
                Kind::Piece
            } else {
                Kind::Last
            };
            self.sending.push(kind, piece);
        }
    }

    /// Takes what has come from the line.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        for heard in self.sieve.push(bytes) {
            match heard {
                Heard::Frame(frame) => {
                    self.quality.frames += 1;
                    self.hear(frame, now, &mut events);
                }
                Heard::Damaged(_, text) => {
                    self.quality.damaged += 1;
                    self.miss(now);
                    events.push(Event::Text(text));
                }
                Heard::Text(text) => events.push(Event::Text(text)),
            }
        }
        events
    }

    /// What is to be written now, if anything.
    pub fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if std::mem::take(&mut self.beacon) {
            // The first bytes after a serial port was opened may get lost.
            let mut line = b"\n\n\n\n".to_vec();
            line.extend(self.frame(Kind::Beacon, 0, Vec::new()).encode());
            return Some(line);
        }
        self.run_out_of_patience(now);
        if let Some(line) = self.send_again(now).or_else(|| self.send_next(now)) {
            return Some(line);
        }
        if !self.receiving.owed || self.peer == 0 {
            return None;
        }
        let kind = if self.receiving.gap {
            Kind::Gap
        } else {
            Kind::Acknowledgement
        };
        let frame = self.frame(kind, 0, Vec::new());
        self.receiving.owed = false;
        self.receiving.gap = false;
        Some(frame.encode())
    }

    /// When [`transmit`](Self::transmit) will have something to do if nothing else happens.
    pub fn deadline(&self) -> Option<Instant> {
        self.sending
            .since
            .map(|since| since + self.current_patience())
    }

    fn current_patience(&self) -> Duration {
        // As long as nobody has answered it is not the line that is slow.
        let doublings = if self.peer == 0 { 0 } else { DOUBLINGS };
        self.line.patience * (1 << self.sending.disappointments.min(doublings))
    }

    fn run_out_of_patience(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.sending.disappointments += 1;
            self.sending.begin_again();
        }
    }

    fn send_again(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.sending.resent >= self.sending.again {
            return None;
        }
        let index = self.sending.resent;
        let flying = self.sending.flying.get(index)?;
        let line = self
            .frame(flying.kind, flying.sequence, flying.payload.clone())
            .encode();
        self.sending.resent += 1;
        if index == 0 {
            self.sending.since = Some(now);
        }
        self.quality.resent += 1;
        self.carried_acknowledgement();
        Some(line)
    }

    fn send_next(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (_, payload) = self.sending.waiting.front()?;
        // An answerer has nobody to talk to before somebody has called, and a caller begins with
        // one frame: nobody knows yet whether there is anybody to take more.
        let alone = self.peer == 0;
        let bytes = Frame::encoded_length(payload.len());
        let is_full = self.sending.flying_bytes + bytes > self.line.window;
        let is_first = self.sending.flying.is_empty();
        if (alone && (self.side == Side::Answerer || !is_first)) || (is_full && !is_first) {
            return None;
        }
        let (kind, payload) = self.sending.waiting.pop_front()?;
        self.sending.waiting_bytes -= bytes;
        let sequence = self.sending.next;
        self.sending.next = sequence.wrapping_add(1);
        let line = self.frame(kind, sequence, payload.clone()).encode();
        self.sending.fly(
            Flying {
                sequence,
                kind,
                payload,
                bytes,
            },
            now,
        );
        self.carried_acknowledgement();
        Some(line)
    }

    fn carried_acknowledgement(&mut self) {
        // What is missing is not said by a frame with a number.
        if !self.receiving.gap {
            self.receiving.owed = false;
        }
    }

    fn frame(&self, kind: Kind, sequence: u32, payload: Vec<u8>) -> Frame {
        Frame {
            kind,
            from: self.us,
            to: if kind == Kind::Beacon { 0 } else { self.peer },
            sequence,
            awaited: self.receiving.awaited,
            payload,
        }
    }

    fn hear(&mut self, frame: Frame, now: Instant, events: &mut Vec<Event>) {
        let is_for_us = match self.side {
            Side::Caller => self.is_answer(&frame, events),
            Side::Answerer => self.is_call(&frame, events),
        };
        if !is_for_us {
            return;
        }
        self.acknowledged(frame.awaited, now);
        if frame.kind == Kind::Gap {
            self.sending.begin_again();
        }
        if !frame.kind.is_numbered() {
            return;
        }
        if frame.sequence != self.receiving.awaited {
            if is_before(frame.sequence, self.receiving.awaited) {
                // It has come before, and the other side does not know.
                self.receiving.owed = true;
            } else {
                self.miss(now);
            }
            return;
        }
        if self.receiving.full {
            self.receiving.refused = true;
            return;
        }
        self.receiving.awaited = frame.sequence.wrapping_add(1);
        self.receiving.owed = true;
        self.receiving.gap = false;
        let receiving = &mut self.receiving;
        if receiving.message.len() + frame.payload.len() > LONGEST_MESSAGE {
            receiving.is_too_long = true;
            receiving.message = Vec::new();
        }
        if !receiving.is_too_long {
            receiving.message.extend(frame.payload);
        }
        if frame.kind == Kind::Last {
            let message = std::mem::take(&mut receiving.message);
            // One with a hole is worse than none, which the other side notices.
            if !std::mem::take(&mut receiving.is_too_long) {
                events.push(Event::Message(message));
            }
        }
    }

    /// Whether a frame is from the side that was called.
    fn is_answer(&mut self, frame: &Frame, events: &mut Vec<Event>) -> bool {
        let is_new = frame.from != self.peer;
        if frame.kind == Kind::Beacon {
            if self.peer == 0 {
                // It has just begun to listen: what was said before has not been heard.
                self.sending.begin_again();
            } else if is_new {
                events.push(Event::Restarted);
            }
            return false;
        }
        if frame.to != self.us {
            return false;
        }
        if self.peer == 0 {
            self.peer = frame.from;
            events.push(Event::Connected);
        } else if is_new {
            events.push(Event::Restarted);
            return false;
        }
        true
    }

    /// Whether a frame is from whoever calls, or from somebody who does so now.
    fn is_call(&mut self, frame: &Frame, events: &mut Vec<Event>) -> bool {
        if frame.kind == Kind::Beacon {
            return false;
        }
        let is_first = frame.to == 0 && frame.sequence == 0 && frame.kind.is_numbered();
        if is_first && frame.from != self.peer {
            self.peer = frame.from;
            self.sending = Sending::default();
            self.receiving = Receiving {
                full: self.receiving.full,
                ..Receiving::default()
            };
            events.push(Event::Connected);
            return true;
        }
        if frame.from == self.peer && (frame.to == self.us || is_first) {
            return true;
        }
        // Meant for a predecessor: whoever sends it must learn that this one is another.
        self.beacon = frame.to != self.us && frame.to != 0;
        false
    }

    /// Something has not come that should have.
    fn miss(&mut self, now: Instant) {
        let awaited = self.receiving.awaited;
        let said = self.receiving.complained;
        let is_news = said.is_none_or(|(number, when)| {
            number != awaited || now.saturating_duration_since(when) >= self.line.patience
        });
        if self.peer != 0 && is_news {
            self.receiving.complained = Some((awaited, now));
            self.receiving.owed = true;
            self.receiving.gap = true;
        }
    }

    fn acknowledged(&mut self, awaited: u32, now: Instant) {
        let sending = &mut self.sending;
        // What has not even been sent cannot have come.
        if is_before(sending.next, awaited) {
            return;
        }
        let mut progress = false;
        while let Some(flying) = sending.flying.front() {
            if !is_before(flying.sequence, awaited) {
                break;
            }
            sending.flying_bytes -= flying.bytes;
            sending.flying.pop_front();
            sending.again = sending.again.saturating_sub(1);
            sending.resent = sending.resent.saturating_sub(1);
            progress = true;
        }
        if progress {
            let some = (!sending.flying.is_empty()).then_some(now);
            sending.since = some;
            sending.unanswered = some;
            sending.disappointments = 0;
        }
    }
}

impl Sending {
    fn push(&mut self, kind: Kind, payload: &[u8]) {
        self.waiting_bytes += Frame::encoded_length(payload.len());
        self.waiting.push_back((kind, payload.to_vec()));
    }

    fn fly(&mut self, flying: Flying, now: Instant) {
        self.flying_bytes += flying.bytes;
        self.flying.push_back(flying);
        self.since.get_or_insert(now);
        self.unanswered.get_or_insert(now);
    }

    fn begin_again(&mut self) {
        self.again = self.flying.len();
        self.resent = 0;
        // Whether the oldest is late is only known once it has been sent again.
        self.since = None;
    }
}

/// Whether one number comes before another, in a sequence that begins anew after the last.
fn is_before(number: u32, other: u32) -> bool {
    let distance = other.wrapping_sub(number);
    distance != 0 && distance < 1 << 31
}

/// A number that no start before this one is likely to have had, and not 0.
fn incarnation() -> u32 {
    // The standard library takes the seed of its hash tables from the kernel's random numbers.
    let random = RandomState::new().hash_one(std::process::id());
    u32::try_from(random >> 32).map_or(1, |number| number.max(1))
}
