// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a board prints on its serial console, with the time at which it came.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use agent_wire::FATAL;

use crate::fate::{Fate, Lost};

/// How many lines are kept.
const KEPT: usize = 20_000;

/// How many of them explain a failure.
const SHOWN: usize = 40;

/// The longest line that is kept whole, in bytes.
const LONGEST: usize = 4096;

/// What the kernel prints last.
const PANIC: &str = "Kernel panic - not syncing";

/// One line of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it came, by the PC's clock.
    pub host: SystemTime,
    /// When it was printed, since the kernel started, if the kernel says so.
    pub target: Option<Duration>,
    /// What it says, control characters left out.
    pub text: String,
}

/// The console's log. All clones are of the same one.
#[derive(Clone, Debug)]
pub struct Console(Arc<Mutex<Log>>);

#[derive(Debug)]
struct Log {
    begun: Vec<u8>,
    lines: VecDeque<Line>,
    /// The number of the oldest line that is kept.
    first: u64,
    copy: Option<File>,
    watchers: Vec<Sender<Vec<u8>>>,
    fate: Fate,
}

impl Console {
    /// An empty log. What the board's last words say is told to `fate`; all that comes is written
    /// to `copy` too.
    pub fn new(fate: Fate, copy: Option<File>) -> Self {
        Self(Arc::new(Mutex::new(Log {
            begun: Vec::new(),
            lines: VecDeque::new(),
            first: 0,
            copy,
            watchers: Vec::new(),
            fate,
        })))
    }

    /// From now on last words are those of another boot.
    pub(crate) fn begin(&self, fate: Fate) {
        let mut log = self.lock();
        log.finish();
        log.fate = fate;
    }

    /// Takes the next bytes.
    pub fn push(&self, bytes: &[u8]) {
        let mut log = self.lock();
        if let Some(copy) = &mut log.copy {
            // A full disk must not end what the log is about.
            let _ = copy.write_all(bytes);
        }
        // Who does not watch any more is forgotten.
        log.watchers
            .retain(|watcher| watcher.send(bytes.to_vec()).is_ok());
        for &byte in bytes {
            if byte == b'\n' || log.begun.len() >= LONGEST {
                log.finish();
            }
            if byte != b'\n' {
                log.begun.push(byte);
            }
        }
    }

    /// The number that the next line will have.
    pub fn mark(&self) -> u64 {
        let log = self.lock();
        log.first + log.lines.len() as u64
    }

    /// The lines from a number on, and the one that has begun.
    pub fn since(&self, mark: u64) -> Vec<Line> {
        let mut log = self.lock();
        let skipped = mark.saturating_sub(log.first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        log.finish();
        log.lines.iter().skip(skipped).cloned().collect()
    }

    /// The last lines, oldest first.
    pub fn last(&self) -> Vec<String> {
        let mut log = self.lock();
        log.finish();
        let skipped = log.lines.len().saturating_sub(SHOWN);
        let lines = log.lines.iter().skip(skipped);
        lines.map(|line| line.text.clone()).collect()
    }

    /// From now on all bytes go to the receiver too, until that is dropped.
    pub fn watch(&self) -> Receiver<Vec<u8>> {
        let (sender, receiver) = channel();
        self.lock().watchers.push(sender);
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Ends the line that has begun, if any.
    fn finish(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.begun);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\r');
        // An answer to a question that a terminal was asked is no text.
        let text: String = text
            .chars()
            .filter(|c| !c.is_control() || *c == '\t')
            .collect();
        if let Some(lost) = last_word(&text) {
            self.fate.decide(lost);
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
            self.first += 1;
        }
        self.lines.push_back(Line {
            host: SystemTime::now(),
            target: printed_at(&text),
            text,
        });
    }
}

/// What a line says about the board's end.
fn last_word(line: &str) -> Option<Lost> {
    if let Some(start) = line.find(PANIC) {
        let line = line[start..].to_owned();
        return Some(Lost::Panic { line });
    }
    let start = line.find(FATAL)?;
    let line = line[start + FATAL.len()..].trim().to_owned();
    Some(Lost::GaveUp { line })
}

/// The time in a line of the kernel: `[   12.345678] text`.
fn printed_at(line: &str) -> Option<Duration> {
    let (time, _) = line.strip_prefix('[')?.split_once(']')?;
    let (seconds, micros) = time.trim_start().split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let seconds = Duration::from_secs(seconds.parse().ok()?);
    Some(seconds + Duration::from_micros(micros.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> (Console, Fate) {
        let fate = Fate::default();
        (Console::new(fate.clone(), None), fate)
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_come_whole_however_the_bytes_arrive() {
        let (console, _) = console();
        for bytes in ["one\r\ntw", "o\n", "\x1b[6n", "half"] {
            console.push(bytes.as_bytes());
        }
        assert_eq!(texts(&console.since(0)), ["one", "two", "[6nhalf"]);
    }

    #[test]
    fn only_what_came_after_a_mark_is_returned() {
        let (console, _) = console();
        console.push(b"before\n");
        let mark = console.mark();
        assert!(console.since(mark).is_empty());
        console.push(b"after\n");
        assert_eq!(texts(&console.since(mark)), ["after"]);
    }

    #[test]
    fn a_board_that_babbles_does_not_exhaust_memory() {
        let (console, _) = console();
        let mark = console.mark();
        for number in 0..KEPT + 3 {
            console.push(format!("{number}\n").as_bytes());
        }
        let lines = console.since(mark);
        assert_eq!((lines.len(), lines[0].text.as_str()), (KEPT, "3"));
        assert_eq!(console.mark(), KEPT as u64 + 3);
        assert_eq!(console.last().len(), SHOWN);
        console.push(&vec![b'x'; 3 * LONGEST]);
        assert!(console.since(mark).iter().all(|l| l.text.len() <= LONGEST));
    }

    #[test]
    fn the_kernels_own_time_is_kept() {
        let time = printed_at("[   12.345678] usb: new device");
        assert_eq!(time, Some(Duration::from_micros(12_345_678)));
        assert_eq!(printed_at("[ok] done"), None);
        assert_eq!(printed_at("login:"), None);
    }

    #[test]
    fn last_words_decide_the_fate() {
        let (console, fate) = console();
        console.push(b"[ 1.0] Kernel panic - not syncing: Oops\r\n");
        let line = "Kernel panic - not syncing: Oops".to_owned();
        assert_eq!(fate.decided(), Some(Lost::Panic { line }));
        let (console, fate) = self::console();
        console.push(format!("{FATAL} no port\n").as_bytes());
        let line = "no port".to_owned();
        assert_eq!(fate.decided(), Some(Lost::GaveUp { line }));
    }

    #[test]
    fn who_watches_gets_every_byte_and_who_stops_costs_nothing() {
        let (console, _) = console();
        let watcher = console.watch();
        console.push(b"log");
        console.push(b"in: ");
        assert_eq!(watcher.try_iter().flatten().collect::<Vec<_>>(), b"login: ");
        drop(watcher);
        console.push(b"x");
        assert!(console.lock().watchers.is_empty());
    }
}
