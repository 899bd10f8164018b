// SPDX-License-Identifier: MIT OR Apache-2.0

//! A line that comes back: a serial adapter that was pulled out and put in again is the same line.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::line::Address;
use crate::Error;
use crate::wiring::Duplex;

/// How long to wait before a line that is gone is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// A line that is opened again whenever it is lost.
#[derive(Debug)]
pub(super) struct Reconnecting(Arc<Shared>);

struct Shared {
    address: Address,
    /// What has been opened and not been fetched yet; the writer stays here.
    ends: Mutex<Ends>,
}

#[derive(Default)]
struct Ends {
    reader: Option<Box<dyn Read + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    stall: Stall,
}

/// Whether a line that is there takes nothing, and whether that has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stall {
    #[default]
    None,
    Untold,
    Told,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Line").field(&self.address).finish()
    }
}

impl Shared {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> io::Result<()> {
        let Duplex { reader, writer } = self.address.open()?;
        *self.ends() = Ends {
            reader: Some(reader),
            writer: Some(writer),
            stall: Stall::None,
        };
        Ok(())
    }
}

impl Reconnecting {
    /// Opens a line that must be there.
    pub(super) fn open(address: Address) -> Result<Self, Error> {
        let shared = Shared {
            address,
            ends: Mutex::default(),
        };
        shared.open().map_err(|source| Error::Line {
            line: shared.address.to_string(),
            source,
        })?;
        Ok(Self(Arc::new(shared)))
    }

    /// Both directions. What is sent while the line is gone is lost, as on any line. That it has
    /// gone and come back, or takes nothing, is told as if it had been said on it.
    pub(super) fn duplex(self) -> Duplex {
        let reader = Reader {
            shared: self.0.clone(),
            half: None,
            told: Vec::new(),
        };
        Duplex {
            reader: Box::new(reader),
            writer: Box::new(Writer(self.0)),
        }
    }
}

struct Reader {
    shared: Arc<Shared>,
    half: Option<Box<dyn Read + Send>>,
    /// What is still to be told.
    told: Vec<u8>,
}

impl Reader {
    fn tell(&mut self, what: &str) {
        let line = format!("\n[bench] {} {what}\n", self.shared.address);
        self.told.extend_from_slice(line.as_bytes());
    }

    /// Tells once that the line takes nothing, until it takes something again.
    fn look_for_stall(&mut self) {
        let mut ends = self.shared.ends();
        if ends.stall == Stall::Untold {
            ends.stall = Stall::Told;
            drop(ends);
            self.tell("takes nothing: what was to be sent is lost");
        }
    }

    /// Makes sure that there is something to read from.
    fn connect(&mut self) -> io::Result<()> {
        if self.half.is_none() {
            self.half = self.shared.ends().reader.take();
        }
        if self.half.is_some() {
            return Ok(());
        }
        if self.shared.open().is_err() {
            thread::sleep(PAUSE);
            return Err(ErrorKind::TimedOut.into());
        }
        self.half = self.shared.ends().reader.take();
        self.tell("is back");
        Ok(())
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.told.is_empty() {
            self.connect()?;
            self.look_for_stall();
        }
        if !self.told.is_empty() {
            let length = self.told.len().min(buffer.len());
            for (to, from) in buffer.iter_mut().zip(self.told.drain(..length)) {
                *to = from;
            }
            return Ok(length);
        }
        let read = self.half.as_mut().map_or(Ok(0), |half| half.read(buffer));
        let why = match read {
            Ok(0) => "the other end has closed it".to_owned(),
            Ok(length) => return Ok(length),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => return Err(error),
                ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                    return Err(ErrorKind::TimedOut.into());
                }
                _ => error.to_string(),
            },
        };
        self.half = None;
        self.shared.ends().writer = None;
        self.tell(&format!("is gone: {why}"));
        Err(ErrorKind::TimedOut.into())
    }
}

struct Writer(Arc<Shared>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut ends = self.0.ends();
        let written = ends.writer.as_mut().map(|writer| writer.write(bytes));
        match written {
            Some(Ok(length)) => {
                ends.stall = Stall::None;
                Ok(length)
            }
            Some(Err(error)) => match error.kind() {
                ErrorKind::Interrupted => Err(error),
                // The line is there. Whoever repeats what is not acknowledged does so.
                ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                    if ends.stall == Stall::None {
                        ends.stall = Stall::Untold;
                    }
                    Ok(bytes.len())
                }
                // The reader notices, and opens it again.
                _ => Ok(bytes.len()),
            },
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::{Shutdown, TcpListener};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_line_that_was_lost_comes_back_and_that_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Socket(listener.local_addr().unwrap().to_string());
        let line = Reconnecting::open(address).unwrap();
        let Duplex { reader, mut writer } = line.duplex();
        let mut lines = BufReader::new(Patient(reader)).lines();
        let (mut first, _) = listener.accept().unwrap();
        first.write_all(b"before\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "before");
        drop(first);
        let gone = [lines.next(), lines.next()].map(|line| line.unwrap().unwrap());
        assert!(gone[1].contains("is gone"), "{gone:?}");
        // What is said now is lost.
        writer.write_all(b"lost").unwrap();
        let second = thread::spawn(move || listener.accept().unwrap().0);
        let back = [lines.next(), lines.next()].map(|line| line.unwrap().unwrap());
        assert!(back[1].contains("is back"), "{back:?}");
        let mut second = second.join().unwrap();
        second.write_all(b"after\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "after");
        writer.write_all(b"heard").unwrap();
        let mut heard = [0; 5];
        second.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"heard");
    }

    #[test]
    fn who_is_gone_is_not_written_to_any_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Socket(listener.local_addr().unwrap().to_string());
        let line = Reconnecting::open(address).unwrap();
        let Duplex { reader, mut writer } = line.duplex();
        let mut lines = BufReader::new(Patient(reader)).lines();
        let (mut first, _) = listener.accept().unwrap();
        // It says nothing more, and listens still.
        first.shutdown(Shutdown::Write).unwrap();
        let gone = [lines.next(), lines.next()].map(|line| line.unwrap().unwrap());
        assert!(gone[1].contains("is gone"), "{gone:?}");
        writer.write_all(b"lost").unwrap();
        first
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        assert_eq!(first.read(&mut [0; 4]).unwrap(), 0);
    }

    #[test]
    fn a_line_that_takes_nothing_is_told_once_each_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Socket(listener.local_addr().unwrap().to_string());
        let line = Reconnecting::open(address).unwrap();
        let is_stuck = Arc::new(AtomicBool::new(true));
        line.0.ends().writer = Some(Box::new(Sticky(is_stuck.clone())));
        let Duplex { reader, mut writer } = line.duplex();
        let mut lines = BufReader::new(Patient(reader)).lines();
        let (mut board, _) = listener.accept().unwrap();
        let mut heard = |said: &[u8]| {
            board.write_all(said).unwrap();
            let mut heard = Vec::new();
            while heard.last().is_none_or(|line| line != "end") {
                assert!(heard.len() < 1000, "told without end");
                heard.push(lines.next().unwrap().unwrap());
            }
            heard.retain(|line| line.contains("takes nothing"));
            heard.len()
        };
        for (stuck, told) in [(true, 1), (true, 0), (false, 0), (true, 1)] {
            is_stuck.store(stuck, Ordering::SeqCst);
            writer.write_all(b"typed").unwrap();
            assert_eq!(heard(b"end\n"), told, "stuck: {stuck}");
        }
    }

    #[test]
    fn a_line_that_is_not_there_is_named() {
        let address = Address::Serial {
            path: "/dev/no-such-adapter".into(),
            baud: 115_200,
        };
        let error = Reconnecting::open(address).unwrap_err();
        assert!(
            error.to_string().contains("/dev/no-such-adapter"),
            "{error}"
        );
    }

    /// Takes nothing as long as that is true.
    struct Sticky(Arc<AtomicBool>);

    impl Write for Sticky {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.load(Ordering::SeqCst) {
                return Err(ErrorKind::TimedOut.into());
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Waits as long as it takes.
    struct Patient(Box<dyn Read + Send>);

    impl Read for Patient {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            loop {
                match self.0.read(buffer) {
                    Err(error) if error.kind() == ErrorKind::TimedOut => {}
                    other => return other,
                }
            }
        }
    }
}
