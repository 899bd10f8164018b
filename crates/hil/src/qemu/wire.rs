// SPDX-License-Identifier: MIT OR Apache-2.0

//! A serial line to an agent's port, on which what is said to nobody is lost, as on a wire.
//!
//! QEMU keeps it instead, and hands on as much as the port's FIFO takes. A driver that starts a
//! PL011 in the middle of that waits for ever for an interrupt: it comes when the FIFO begins to
//! fill, and the driver empties it before, but by so many reads only (`pl011_enable_interrupts` of
//! `drivers/tty/serial/amba-pl011.c`), and QEMU fills it again between two of them.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent_wire::frame::MARK;

use crate::Error;
use crate::wiring::Duplex;

/// Both directions of a line on which nothing is sent before the agent has begun to speak: it
/// listens then.
pub(super) fn to_agent(stream: UnixStream) -> Result<Duplex, Error> {
    let listens = Arc::new(AtomicBool::new(false));
    let reader = stream.try_clone().map_err(Error::Channel)?;
    Ok(Duplex {
        reader: Box::new(FromBoard {
            reader,
            end: Vec::new(),
            listens: listens.clone(),
        }),
        writer: Box::new(ToBoard {
            writer: stream,
            listens,
        }),
    })
}

struct FromBoard<R> {
    reader: R,
    /// The last bytes, in which a mark may have begun.
    end: Vec<u8>,
    listens: Arc<AtomicBool>,
}

struct ToBoard<W> {
    writer: W,
    listens: Arc<AtomicBool>,
}

impl<R: Read> Read for FromBoard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        if !self.listens.load(Ordering::Relaxed) {
            self.end.extend(&buffer[..length]);
            let mut places = self.end.windows(MARK.len());
            if places.any(|place| place == MARK.as_bytes()) {
                self.listens.store(true, Ordering::Relaxed);
            }
            let old = self.end.len().saturating_sub(MARK.len() - 1);
            self.end.drain(..old);
        }
        Ok(length)
    }
}

impl<W: Write> Write for ToBoard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.listens.load(Ordering::Relaxed) {
            self.writer.write(bytes)
        } else {
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_before_the_agent_speaks_is_lost() {
        let (ours, mut board) = UnixStream::pair().unwrap();
        let mut line = to_agent(ours).unwrap();
        let mut heard = [0; 64];
        for said in ["Booting\r\n~BRING\n", "~BRIN", "GUP A"] {
            line.writer.write_all(b"too early").unwrap();
            board.write_all(said.as_bytes()).unwrap();
            let length = line.reader.read(&mut heard).unwrap();
            assert_eq!(&heard[..length], said.as_bytes());
        }
        line.writer.write_all(b"now").unwrap();
        let length = board.read(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"now");
    }
}
