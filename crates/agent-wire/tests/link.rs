// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two ends of a link, and between them lines of every kind of badness, with a clock of their own.

use std::time::{Duration, Instant};

use agent_wire::link::{Event, Line, Link, Side};

/// Numbers that are not random but look it, the same for the same seed (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

/// What a line does to bytes: each with one chance in so many, or never if that is 0.
#[derive(Clone, Copy, Default)]
struct Badness {
    loses: u64,
    doubles: u64,
    garbles: u64,
    /// Between two bytes, a message of the kernel.
    prints: u64,
}

impl Badness {
    fn does(self, numbers: &mut Numbers, bytes: &[u8]) -> Vec<u8> {
        let mut arrived = Vec::new();
        let mut happens = |chance: u64| chance != 0 && numbers.below(chance) == 0;
        for byte in bytes {
            if happens(self.prints) {
                arrived.extend(b"[   12.345678] usb 1-1: new device\r\n");
            }
            if happens(self.loses) {
                continue;
            }
            arrived.push(if happens(self.garbles) {
                byte ^ 0x20
            } else {
                *byte
            });
            if happens(self.doubles) {
                arrived.push(*byte);
            }
        }
        arrived
    }
}

/// What two ends have taken in, after messages were sent from both.
struct Talk {
    caller: Link,
    answerer: Link,
    now: Instant,
    to_caller: Vec<Event>,
    to_answerer: Vec<Event>,
}

impl Talk {
    fn new(line: Line) -> Self {
        Self {
            caller: Link::new(line, Side::Caller),
            answerer: Link::new(line, Side::Answerer),
            now: Instant::now(),
            to_caller: Vec::new(),
            to_answerer: Vec::new(),
        }
    }

    /// Lets both talk until neither has anything more to say.
    fn run(&mut self, badness: Badness, numbers: &mut Numbers) {
        for _ in 0..200_000 {
            let mut idle = true;
            while let Some(bytes) = self.caller.transmit(self.now) {
                let arrived = badness.does(numbers, &bytes);
                self.to_answerer
                    .extend(self.answerer.receive(&arrived, self.now));
                idle = false;
            }
            while let Some(bytes) = self.answerer.transmit(self.now) {
                let arrived = badness.does(numbers, &bytes);
                self.to_caller
                    .extend(self.caller.receive(&arrived, self.now));
                idle = false;
            }
            if idle {
                let deadlines = [self.caller.deadline(), self.answerer.deadline()];
                match deadlines.into_iter().flatten().min() {
                    None => return,
                    Some(deadline) => self.now = self.now.max(deadline),
                }
            }
        }
        panic!("they never came to an end");
    }
}

fn messages(events: &[Event]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    for event in events {
        if let Event::Message(bytes) = event {
            messages.push(bytes.as_slice());
        }
    }
    messages
}

fn count(events: &[Event], wanted: &Event) -> usize {
    events.iter().filter(|event| *event == wanted).count()
}

const SMALL: Line = Line {
    window: 700,
    payload: 50,
    patience: Duration::from_millis(100),
};

fn sent(numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let length = |numbers: &mut Numbers| numbers.below(300);
    let message = |numbers: &mut Numbers| {
        (0..length(numbers))
            .map(|_| numbers.below(256).to_le_bytes()[0])
            .collect()
    };
    (0..40).map(|_| message(numbers)).collect()
}

fn everything_arrives(badness: Badness, seeds: u64) {
    for seed in 1..=seeds {
        let numbers = &mut Numbers(seed);
        let (down, up) = (sent(numbers), sent(numbers));
        let mut talk = Talk::new(SMALL);
        down.iter().for_each(|message| talk.caller.send(message));
        // Only who has been called can answer.
        talk.run(badness, numbers);
        up.iter().for_each(|message| talk.answerer.send(message));
        talk.run(badness, numbers);
        assert_eq!(messages(&talk.to_answerer), down, "seed {seed}");
        assert_eq!(messages(&talk.to_caller), up, "seed {seed}");
        assert_eq!(count(&talk.to_caller, &Event::Connected), 1, "seed {seed}");
        assert_eq!(
            count(&talk.to_answerer, &Event::Connected),
            1,
            "seed {seed}"
        );
        assert_eq!(count(&talk.to_caller, &Event::Restarted), 0, "seed {seed}");
        assert_eq!(talk.caller.backlog() + talk.answerer.backlog(), 0);
        assert_eq!(talk.caller.unanswered_since(), None);
    }
}

#[test]
fn a_good_line_delivers_in_order_and_sends_nothing_twice() {
    let numbers = &mut Numbers(1);
    let mut talk = Talk::new(SMALL);
    let down = sent(numbers);
    down.iter().for_each(|message| talk.caller.send(message));
    talk.run(Badness::default(), numbers);
    assert_eq!(messages(&talk.to_answerer), down);
    assert_eq!(talk.caller.quality().resent, 0);
    assert_eq!(talk.answerer.quality().damaged, 0);
}

#[test]
fn lost_bytes_are_made_up_for() {
    let badness = Badness {
        loses: 400,
        ..Badness::default()
    };
    everything_arrives(badness, 30);
}

#[test]
fn doubled_bytes_are_made_up_for() {
    let badness = Badness {
        doubles: 400,
        ..Badness::default()
    };
    everything_arrives(badness, 30);
}

#[test]
fn garbled_bytes_are_made_up_for() {
    let badness = Badness {
        garbles: 400,
        ..Badness::default()
    };
    everything_arrives(badness, 30);
}

#[test]
fn a_kernel_that_prints_into_frames_is_made_up_for() {
    let badness = Badness {
        prints: 500,
        ..Badness::default()
    };
    everything_arrives(badness, 30);
}

#[test]
fn all_of_it_at_once_is_made_up_for() {
    let badness = Badness {
        loses: 900,
        doubles: 900,
        garbles: 900,
        prints: 900,
    };
    everything_arrives(badness, 30);
}

#[test]
fn what_the_kernel_prints_is_not_lost() {
    let mut talk = Talk::new(SMALL);
    let events = talk.caller.receive(b"[ 1.0] one\nlogin: ", talk.now);
    assert_eq!(events, [Event::Text(b"[ 1.0] one\nlogin: ".to_vec())]);
}

#[test]
fn no_more_is_on_its_way_than_the_line_can_hold() {
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"first");
    talk.run(Badness::default(), &mut Numbers(1));
    talk.caller.send(&[0; 10_000]);
    let mut bytes = 0;
    while let Some(line) = talk.caller.transmit(talk.now) {
        bytes += line.len();
    }
    assert!(
        (SMALL.window / 2..=SMALL.window).contains(&bytes),
        "{bytes}"
    );
}

#[test]
fn a_caller_says_little_until_somebody_answers_and_a_beacon_makes_it_repeat_that() {
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"one");
    talk.caller.send(b"two");
    assert!(talk.caller.transmit(talk.now).is_some());
    assert_eq!(talk.caller.transmit(talk.now), None);
    // It was said too early to be heard.
    let beacon = talk.answerer.transmit(talk.now).unwrap();
    let empty_lines = Event::Text(b"\n\n\n\n".to_vec());
    assert_eq!(talk.caller.receive(&beacon, talk.now), [empty_lines]);
    talk.run(Badness::default(), &mut Numbers(1));
    assert_eq!(messages(&talk.to_answerer), [b"one", b"two"]);
}

#[test]
fn an_answerer_says_nothing_but_its_beacon_before_it_is_called() {
    let mut talk = Talk::new(SMALL);
    talk.answerer.send(b"too early");
    assert!(talk.answerer.transmit(talk.now).is_some());
    assert_eq!(talk.answerer.transmit(talk.now), None);
}

#[test]
fn another_caller_is_taken_for_another_and_gets_nothing_of_what_was_meant_for_the_first() {
    let numbers = &mut Numbers(1);
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"first");
    talk.run(Badness::default(), numbers);
    talk.answerer.send(b"for the first");
    talk.caller = Link::new(SMALL, Side::Caller);
    talk.to_caller.clear();
    talk.caller.send(b"second");
    talk.run(Badness::default(), numbers);
    assert_eq!(
        messages(&talk.to_answerer),
        [b"first".as_slice(), b"second"]
    );
    assert_eq!(count(&talk.to_answerer, &Event::Connected), 2);
    talk.answerer.send(b"for the second");
    talk.run(Badness::default(), numbers);
    assert_eq!(messages(&talk.to_caller), [b"for the second"]);
}

#[test]
fn a_caller_learns_that_the_other_side_has_started_anew() {
    let numbers = &mut Numbers(1);
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"first");
    talk.run(Badness::default(), numbers);
    talk.answerer = Link::new(SMALL, Side::Answerer);
    // Its beacon is lost, so the caller learns it by what it says itself.
    talk.answerer.transmit(talk.now);
    talk.caller.send(b"second");
    let line = talk.caller.transmit(talk.now).unwrap();
    assert_eq!(talk.answerer.receive(&line, talk.now), []);
    let beacon = talk.answerer.transmit(talk.now).unwrap();
    let events = talk.caller.receive(&beacon, talk.now);
    assert_eq!(events.last(), Some(&Event::Restarted));
}

/// When a caller speaks, in milliseconds, with nobody at the other end.
fn attempts(talk: &mut Talk) -> Vec<u64> {
    let start = talk.now;
    talk.caller.send(b"hello?");
    let speaks = |millisecond: &u64| {
        let now = start + Duration::from_millis(*millisecond);
        talk.caller.transmit(now).is_some()
    };
    (0..2000).filter(speaks).collect()
}

#[test]
fn who_has_answered_before_is_asked_more_and_more_rarely() {
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"first");
    talk.run(Badness::default(), &mut Numbers(1));
    let start = talk.now;
    assert_eq!(attempts(&mut talk), [0, 100, 300, 700, 1500]);
    assert_eq!(talk.caller.unanswered_since(), Some(start));
}

#[test]
fn who_has_not_answered_yet_is_asked_again_and_again() {
    let expected: Vec<_> = (0..20).map(|attempt| attempt * 100).collect();
    assert_eq!(attempts(&mut Talk::new(SMALL)), expected);
}

#[test]
fn the_first_bytes_of_a_beacon_may_get_lost() {
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"one");
    talk.caller.transmit(talk.now);
    let beacon = talk.answerer.transmit(talk.now).unwrap();
    talk.caller.receive(&beacon[3..], talk.now);
    assert!(talk.caller.transmit(talk.now).is_some());
}

#[test]
fn numbers_that_were_never_sent_are_not_acknowledged() {
    // An echo of its own frames, as a terminal that is not raw gives, does not confuse a caller.
    let numbers = &mut Numbers(1);
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"first");
    talk.run(Badness::default(), numbers);
    talk.caller.send(b"second");
    let line = talk.caller.transmit(talk.now).unwrap();
    assert_eq!(talk.caller.receive(&line, talk.now), []);
    assert_ne!(talk.caller.backlog(), 0);
}

#[test]
fn an_empty_message_is_a_message() {
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"");
    talk.run(Badness::default(), &mut Numbers(1));
    assert_eq!(messages(&talk.to_answerer), [b""]);
}

#[test]
fn who_is_full_takes_nothing_in_and_loses_nothing() {
    let numbers = &mut Numbers(1);
    let mut talk = Talk::new(SMALL);
    talk.caller.send(b"first");
    talk.run(Badness::default(), numbers);
    talk.answerer.set_full(true);
    let down = sent(numbers);
    down.iter().for_each(|message| talk.caller.send(message));
    while let Some(line) = talk.caller.transmit(talk.now) {
        assert_eq!(talk.answerer.receive(&line, talk.now), []);
    }
    // Its own messages go out all the same, and are acknowledged.
    talk.answerer.send(b"patience");
    while let Some(line) = talk.answerer.transmit(talk.now) {
        talk.to_caller.extend(talk.caller.receive(&line, talk.now));
    }
    while let Some(line) = talk.caller.transmit(talk.now) {
        assert_eq!(talk.answerer.receive(&line, talk.now), []);
    }
    assert_eq!(messages(&talk.to_caller), [b"patience"]);
    assert_eq!(talk.answerer.backlog(), 0);
    talk.answerer.set_full(false);
    // At once, not when patience has run out.
    let before = talk.now;
    talk.run(Badness::default(), numbers);
    assert_eq!(talk.now, before);
    assert_eq!(messages(&talk.to_answerer)[1..], down);
}

#[test]
fn a_message_that_is_too_long_is_none_and_the_next_one_comes_whole() {
    let mut talk = Talk::new(Line::STREAM);
    talk.caller.send(&vec![7; (4 << 20) + 100]);
    talk.caller.send(b"next");
    talk.run(Badness::default(), &mut Numbers(1));
    assert_eq!(messages(&talk.to_answerer), [b"next".as_slice()]);
    talk.caller.send(&vec![7; 4 << 20]);
    talk.run(Badness::default(), &mut Numbers(1));
    assert_eq!(messages(&talk.to_answerer)[1].len(), 4 << 20);
}
