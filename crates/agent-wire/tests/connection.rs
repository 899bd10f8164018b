// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two connections over a real socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::connection::{Closed, Inbox, Incoming, Outbox, start};
use agent_wire::link::{Line, Side};

const PATIENCE: Duration = Duration::from_secs(20);

type End = (Outbox, Inbox);

fn end(stream: UnixStream, line: Line, side: Side) -> io::Result<End> {
    Ok(start(stream.try_clone()?, stream, line, side))
}

fn pair(line: Line) -> io::Result<(End, End)> {
    let (one, other) = UnixStream::pair()?;
    let caller = end(one, line, Side::Caller)?;
    Ok((caller, end(other, line, Side::Answerer)?))
}

fn message(inbox: &Inbox) -> Vec<u8> {
    loop {
        match inbox.receive(PATIENCE) {
            Ok(Incoming::Message(message)) => return message,
            Ok(Incoming::Connected | Incoming::Text(_)) => {}
            other => panic!("instead of a message came {other:?}"),
        }
    }
}

#[test]
fn messages_go_both_ways_over_lines_of_both_kinds() {
    for line in [Line::STREAM, Line::SERIAL] {
        let (pc, board) = pair(line).unwrap();
        let echo = thread::spawn(move || {
            for _ in 0..50 {
                board.0.send(message(&board.1)).unwrap();
            }
            assert!(board.0.flush(PATIENCE));
        });
        for length in 0..50 {
            let sent = vec![b'x'; length * 40];
            pc.0.send(sent.clone()).unwrap();
            assert_eq!(message(&pc.1), sent);
        }
        echo.join().unwrap();
        assert_eq!(pc.0.unanswered(), Duration::ZERO);
    }
}

#[test]
fn who_sends_more_than_is_taken_in_waits_and_nothing_is_lost() {
    let (pc, board) = pair(Line::STREAM).unwrap();
    let sender = thread::spawn(move || {
        pc.0.send(Vec::new()).unwrap();
        for number in 0..400_u32 {
            let mut sent = vec![0; 32 << 10];
            sent[..4].copy_from_slice(&number.to_le_bytes());
            pc.0.send(sent).unwrap();
        }
        assert!(pc.0.flush(PATIENCE));
        pc
    });
    assert!(message(&board.1).is_empty());
    // 12.5 MiB do not fit anywhere while nobody listens.
    thread::sleep(Duration::from_millis(300));
    assert!(!sender.is_finished());
    for number in 0..400_u32 {
        assert_eq!(message(&board.1)[..4], number.to_le_bytes());
    }
    sender.join().unwrap();
}

/// Carries bytes one way until the line is cut, and swallows them from then on.
fn carry(mut from: UnixStream, mut to: UnixStream, is_cut: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if !is_cut.load(Ordering::Relaxed) && to.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    });
}

#[test]
fn who_sends_into_a_line_that_was_cut_does_not_wait_for_ever() {
    let (one, near) = UnixStream::pair().unwrap();
    let (far, other) = UnixStream::pair().unwrap();
    let is_cut = Arc::new(AtomicBool::new(false));
    let copy = |stream: &UnixStream| stream.try_clone().unwrap();
    carry(copy(&near), copy(&far), is_cut.clone());
    carry(far, near, is_cut.clone());
    let pc = end(one, Line::STREAM, Side::Caller).unwrap();
    let board = end(other, Line::STREAM, Side::Answerer).unwrap();
    pc.0.send(b"hello".to_vec()).unwrap();
    assert_eq!(message(&board.1), b"hello");
    is_cut.store(true, Ordering::Relaxed);
    let silence = Duration::from_millis(300);
    let begun = Instant::now();
    while pc.0.send_unless_silent(vec![0; 100_000], silence).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it goes on sending");
    }
    assert!(begun.elapsed() < PATIENCE);
    assert!(pc.0.unanswered() >= silence);
}

#[test]
fn text_between_frames_comes_through() {
    let (stream, mut board) = UnixStream::pair().unwrap();
    let (_outbox, inbox) = end(stream, Line::SERIAL, Side::Caller).unwrap();
    board.write_all(b"[ 0.0] Booting Linux\n").unwrap();
    match inbox.receive(PATIENCE).unwrap() {
        Incoming::Text(text) => assert_eq!(text, b"[ 0.0] Booting Linux\n"),
        other => panic!("instead of text came {other:?}"),
    }
}

#[test]
fn the_end_of_a_line_is_told_and_nobody_waits_for_ever() {
    let (stream, board) = UnixStream::pair().unwrap();
    let (outbox, inbox) = end(stream, Line::STREAM, Side::Caller).unwrap();
    let waits = {
        let outbox = outbox.clone();
        thread::spawn(move || while outbox.send(vec![0; 100_000]).is_ok() {})
    };
    thread::sleep(Duration::from_millis(50));
    assert!(!waits.is_finished());
    drop(board);
    waits.join().unwrap();
    assert!(matches!(
        inbox.receive(PATIENCE).unwrap(),
        Incoming::Closed(_)
    ));
    assert_eq!(outbox.send(Vec::new()), Err(Closed));
    assert!(!outbox.flush(PATIENCE));
}

#[test]
fn dropping_the_outbox_ends_the_connection() {
    let ((outbox, inbox), _board) = pair(Line::STREAM).unwrap();
    drop(outbox);
    assert!(matches!(
        inbox.receive(PATIENCE).unwrap(),
        Incoming::Closed(None)
    ));
}
