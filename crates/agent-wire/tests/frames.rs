// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which frames one end of a link answers to which frames.

use std::time::{Duration, Instant};

use agent_wire::frame::{Frame, Kind};
use agent_wire::link::{Event, Line, Link, Side};
use agent_wire::sieve::{Heard, Sieve};

const LINE: Line = Line {
    window: 4096,
    payload: 50,
    patience: Duration::from_millis(100),
};

/// The frames in what was sent.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let heard = Sieve::default().push(bytes).into_iter();
    let frames = heard.filter_map(|heard| match heard {
        Heard::Frame(frame) => Some(frame),
        _ => None,
    });
    frames.collect()
}

/// All that an end has to send now.
fn said(link: &mut Link, now: Instant) -> Vec<Frame> {
    let lines = std::iter::from_fn(|| link.transmit(now));
    lines.flat_map(|line| frames(&line)).collect()
}

/// Hands frames to an end.
fn tell(link: &mut Link, frames: &[Frame], now: Instant) -> Vec<Event> {
    let events = frames
        .iter()
        .map(|frame| link.receive(&frame.encode(), now));
    events.flatten().collect()
}

/// A caller and an answerer that have each heard the other, and a frame of the answerer's.
fn connected(now: Instant) -> (Link, Link, Frame) {
    let mut caller = Link::new(LINE, Side::Caller);
    let mut answerer = Link::new(LINE, Side::Answerer);
    caller.send(b"first");
    // Without the beacon.
    said(&mut answerer, now);
    tell(&mut answerer, &said(&mut caller, now), now);
    let answer = said(&mut answerer, now);
    assert_eq!(tell(&mut caller, &answer, now), [Event::Connected]);
    assert_eq!(caller.backlog(), 0);
    (caller, answerer, answer[0].clone())
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_none() {
    let now = Instant::now();
    let (mut caller, _, answer) = connected(now);
    caller.send(b"second");
    assert_eq!(said(&mut caller, now).len(), 1);
    let backlog = caller.backlog();
    let awaiting = |awaited| Frame {
        awaited,
        ..answer.clone()
    };
    tell(&mut caller, &[awaiting(3)], now);
    assert_eq!(caller.backlog(), backlog);
    tell(&mut caller, &[awaiting(2)], now);
    assert_eq!(caller.backlog(), 0);
}

#[test]
fn who_answers_as_another_has_started_anew_and_what_is_for_others_says_nothing() {
    let now = Instant::now();
    let (mut caller, _, answer) = connected(now);
    let from_another = Frame {
        from: answer.from.wrapping_add(1),
        ..answer.clone()
    };
    let to_another = Frame {
        to: answer.to.wrapping_add(1),
        ..from_another.clone()
    };
    assert_eq!(tell(&mut caller, &[to_another, answer], now), []);
    assert_eq!(tell(&mut caller, &[from_another], now), [Event::Restarted]);
}

#[test]
fn what_is_missing_is_asked_for_once_and_again_when_patience_has_run_out() {
    let now = Instant::now();
    let (mut caller, mut answerer, _) = connected(now);
    (0..5).for_each(|number| caller.send(&[number]));
    let sent = said(&mut caller, now);
    assert_eq!(sent.len(), 5);
    let kinds = |link: &mut Link, frames: &[Frame], now| -> Vec<Kind> {
        let mut kinds = Vec::new();
        for frame in frames {
            tell(link, std::slice::from_ref(frame), now);
            kinds.extend(said(link, now).iter().map(|frame| frame.kind));
        }
        kinds
    };
    // The first is lost.
    assert_eq!(kinds(&mut answerer, &sent[1..], now), [Kind::Gap]);
    let later = now + LINE.patience;
    assert_eq!(kinds(&mut answerer, &sent[1..], later), [Kind::Gap]);
    // Of two gaps each is asked for.
    tell(&mut answerer, &sent[..1], later);
    assert_eq!(said(&mut answerer, later)[0].kind, Kind::Acknowledgement);
    assert_eq!(kinds(&mut answerer, &sent[2..], later), [Kind::Gap]);
}

#[test]
fn who_asks_for_what_is_missing_gets_all_from_there_on_once() {
    let now = Instant::now();
    let (mut caller, mut answerer, _) = connected(now);
    (0..3).for_each(|number| caller.send(&[number]));
    let sent = said(&mut caller, now);
    tell(&mut answerer, &sent[1..2], now);
    let asked = said(&mut answerer, now);
    tell(&mut caller, &asked, now);
    assert_eq!(said(&mut caller, now), sent);
    assert_eq!(said(&mut caller, now), []);
}

#[test]
fn what_comes_once_more_is_acknowledged_once_more_and_not_taken_twice() {
    let now = Instant::now();
    let (mut caller, mut answerer, _) = connected(now);
    caller.send(b"second");
    let sent = said(&mut caller, now);
    let message = Event::Message(b"second".to_vec());
    assert_eq!(tell(&mut answerer, &sent, now), [message]);
    let first = said(&mut answerer, now);
    assert_eq!(first.len(), 1);
    // That was lost, so the caller says it again.
    assert_eq!(tell(&mut answerer, &sent, now), []);
    assert_eq!(said(&mut answerer, now), first);
    tell(&mut caller, &first, now);
    assert_eq!(caller.backlog(), 0);
}

#[test]
fn who_speaks_to_a_predecessor_is_told_and_who_only_begins_is_not() {
    let now = Instant::now();
    let (mut caller, mut answerer, _) = connected(now);
    caller.send(b"second");
    let sent = said(&mut caller, now).remove(0);
    let stranger = Frame {
        from: sent.from.wrapping_add(1),
        ..sent
    };
    let to = |to| Frame {
        to,
        ..stranger.clone()
    };
    for (frame, answer) in [
        (to(stranger.to.wrapping_add(1)), vec![Kind::Beacon]),
        // The first of one who begins is on its way still, or lost.
        (to(0), Vec::new()),
        (to(stranger.to), Vec::new()),
    ] {
        assert_eq!(tell(&mut answerer, &[frame], now), []);
        let kinds: Vec<_> = said(&mut answerer, now).iter().map(|f| f.kind).collect();
        assert_eq!(kinds, answer);
    }
}
