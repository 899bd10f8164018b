// SPDX-License-Identifier: MIT OR Apache-2.0

//! A console that does not end with its board: a serial adapter's.

use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use board_spec::Board;
use hil::wiring::{AgentLine, Duplex, Wiring};
use hil::{Console, Error, Fate, Fixture, Lost, State};

/// Says something once and then nothing for ever, and is in use until it is dropped.
struct Adapter {
    said: &'static [u8],
    in_use: Arc<AtomicBool>,
}

impl Read for Adapter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.said.is_empty() {
            return self.said.read(buffer);
        }
        thread::sleep(Duration::from_millis(10));
        Err(ErrorKind::TimedOut.into())
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.in_use.store(false, Ordering::Relaxed);
    }
}

/// A board that panics before its agent can be reached.
#[derive(Debug)]
struct Panics(Arc<AtomicBool>);

impl Wiring for Panics {
    fn kind(&self) -> &'static str {
        "panics"
    }

    fn power_on(&mut self, _: &Fate) -> Result<(), Error> {
        Ok(())
    }

    fn power_off(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn console(&mut self) -> Result<Option<Duplex>, Error> {
        self.0.store(true, Ordering::Relaxed);
        Ok(Some(Duplex {
            reader: Box::new(Adapter {
                said: b"[    1.500000] Kernel panic - not syncing: fatal\r\n",
                in_use: self.0.clone(),
            }),
            writer: Box::new(io::sink()),
        }))
    }

    fn agent(&mut self) -> Result<AgentLine, Error> {
        Ok(AgentLine::NotYet)
    }
}

#[test]
fn the_console_of_a_board_that_was_lost_is_let_go_of_when_it_is_off() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards/virt");
    let board = Board::read(&folder).unwrap();
    let in_use = Arc::new(AtomicBool::new(false));
    let console = Console::new(Fate::default(), None);
    let wiring = Box::new(Panics(in_use.clone()));
    let mut fixture = Fixture::new(board, wiring, Duration::from_secs(5), console);
    let error = fixture.reach(State::Ready).unwrap_err();
    let Error::Lost { lost, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(lost, Lost::Panic { .. }), "{lost:?}");
    fixture.cut_power().unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    while in_use.load(Ordering::Relaxed) {
        assert!(Instant::now() < deadline, "somebody still listens");
        thread::sleep(Duration::from_millis(5));
    }
}
