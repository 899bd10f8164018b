// SPDX-License-Identifier: MIT OR Apache-2.0

//! A serial port behind a telnet server, as ser2net and labgrid's exporter offer one.
//!
//! All bytes pass in both directions; of telnet's options only those that make this so are agreed
//! on. The port is used as its server has set it up: RFC 2217, by which a client could change the
//! speed, is declined.
//!
//! # References
//!
//! - RFC 854 (the protocol), RFC 856 (binary transmission), RFC 858 (suppress go ahead), RFC 2217
//!   (COM-PORT-OPTION)

mod decoder;

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::decoder::{Decoder, IAC};
use crate::wiring::Duplex;

/// How long a server may take to say what it wants. It opens its port once that is settled.
const GREETING: Duration = Duration::from_secs(2);

/// Opens the line on a connection that has just been made, whose reads end by a timeout.
pub(super) fn open(mut stream: TcpStream) -> io::Result<Duplex> {
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    let mut decoder = Decoder::default();
    let (mut early, mut buffer) = (Vec::new(), [0; 256]);
    let deadline = Instant::now() + GREETING;
    // One that is not heard of in time may be none that negotiates: what it sends are the bytes.
    while !decoder.is_greeted && early.is_empty() && Instant::now() < deadline {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => hear(&mut decoder, &writer, &buffer[..length], &mut early)?,
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Duplex {
        reader: Box::new(Reader {
            stream,
            decoder,
            writer: writer.clone(),
            decoded: early,
            failed: None,
        }),
        writer: Box::new(Writer(writer)),
    })
}

/// Acknowledges at once. A server that gathers small pieces until the last one has been acknowledged
/// (RFC 896), as ser2net does unless it is told otherwise, would otherwise say each thing some 40 ms
/// late. The kernel forgets about it from time to time (tcp(7), `TCP_QUICKACK`).
fn acknowledge(stream: &TcpStream) {
    // Without it the line is slow, but it is a line.
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

type Shared = Arc<Mutex<TcpStream>>;

/// Adds what the bytes carry to `data`; what is to be answered is sent.
fn hear(
    decoder: &mut Decoder,
    writer: &Shared,
    bytes: &[u8],
    data: &mut Vec<u8>,
) -> io::Result<()> {
    let mut answer = Vec::new();
    decoder.decode(bytes, data, &mut answer);
    if answer.is_empty() {
        return Ok(());
    }
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    writer.write_all(&answer)
}

struct Reader {
    stream: TcpStream,
    decoder: Decoder,
    writer: Shared,
    /// What has come and not been fetched yet.
    decoded: Vec<u8>,
    /// Why the server could not be answered; told after what came before.
    failed: Option<io::Error>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoded.is_empty() {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let mut raw = [0; 4096];
            let length = self.stream.read(&mut raw)?;
            acknowledge(&self.stream);
            if length == 0 {
                return Ok(0);
            }
            let (decoder, data) = (&mut self.decoder, &mut self.decoded);
            self.failed = hear(decoder, &self.writer, &raw[..length], data).err();
        }
        let length = self.decoded.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.decoded.drain(..length)) {
            *to = from;
        }
        Ok(length)
    }
}

struct Writer(Shared);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let doubled = bytes.iter().filter(|byte| **byte == IAC).count();
        let mut encoded = Vec::with_capacity(bytes.len() + doubled);
        for &byte in bytes {
            encoded.push(byte);
            if byte == IAC {
                encoded.push(IAC);
            }
        }
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&encoded)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{self, JoinHandle};

    use rustix::net::sockopt::{set_tcp_quickack, tcp_quickack};

    use super::decoder::tests::{COM_PORT, SER2NET};
    use super::decoder::{ECHO, WILL, WONT};
    use super::*;

    /// How long a test waits for a byte.
    const LIMIT: Duration = Duration::from_secs(10);

    /// A server that does this on its first connection, and the client's end of that.
    fn served<T: Send + 'static>(
        serve: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> (TcpStream, JoinHandle<T>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let (board, _) = listener.accept().unwrap();
        board.set_read_timeout(Some(LIMIT)).unwrap();
        (stream, thread::spawn(move || serve(board)))
    }

    fn read(reader: &mut dyn Read, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        reader.read_exact(&mut heard).unwrap();
        heard
    }

    #[test]
    fn a_line_carries_all_bytes_both_ways_and_answers_the_server() {
        let (stream, server) = served(|mut board| {
            board.write_all(&SER2NET).unwrap();
            let answer = read(&mut board, 18);
            board.write_all(&[b'o', b'k', IAC, IAC]).unwrap();
            (answer, read(&mut board, 4))
        });
        let Duplex {
            mut reader,
            mut writer,
        } = open(stream).unwrap();
        assert_eq!(read(&mut reader, 3), [b'o', b'k', IAC]);
        writer.write_all(&[1, IAC, 2]).unwrap();
        let (answer, heard) = server.join().unwrap();
        assert_eq!(answer[15..], [IAC, WONT, COM_PORT]);
        assert_eq!(heard, [1, IAC, IAC, 2]);
    }

    #[test]
    fn a_line_is_open_once_the_server_has_said_what_it_wants() {
        let said = Arc::new(AtomicBool::new(false));
        let is_said = said.clone();
        let (stream, server) = served(move |mut board| {
            thread::sleep(GREETING / 10);
            is_said.store(true, Ordering::SeqCst);
            board.write_all(&SER2NET).unwrap();
            read(&mut board, 18)
        });
        let begun = Instant::now();
        let line = open(stream).unwrap();
        assert!(said.load(Ordering::SeqCst));
        assert!(begun.elapsed() < GREETING);
        // The answer is on its way already.
        server.join().unwrap();
        drop(line);
    }

    #[test]
    fn a_server_that_does_not_negotiate_passes_bytes() {
        let (stream, server) = served(|mut board| {
            board.write_all(b"login: ").unwrap();
            board
        });
        let begun = Instant::now();
        let mut line = open(stream).unwrap();
        assert!(begun.elapsed() < GREETING);
        let mut board = server.join().unwrap();
        board.write_all(b"root").unwrap();
        assert_eq!(read(&mut line.reader, 11), b"login: root");
        // A board that is off says nothing.
        let (stream, server) = served(|board| board);
        stream.set_read_timeout(Some(GREETING / 20)).unwrap();
        let mut line = open(stream).unwrap();
        let mut board = server.join().unwrap();
        board.write_all(b"on").unwrap();
        assert_eq!(read(&mut line.reader, 2), b"on");
        let (stream, server) = served(drop);
        server.join().unwrap();
        let closed = open(stream).map(drop).unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_the_board_says_while_the_server_negotiates_is_kept_in_order() {
        let (stream, server) = served(|mut board| {
            let (first, rest) = SER2NET.split_at(6);
            board
                .write_all(&[b"one ", first, b"two ", rest].concat())
                .unwrap();
            board.write_all(b"three").unwrap();
            read(&mut board, 18)
        });
        let mut line = open(stream).unwrap();
        assert_eq!(read(&mut line.reader, 13), b"one two three");
        server.join().unwrap();
    }

    #[test]
    fn what_came_before_the_server_cannot_be_answered_any_more_is_not_lost() {
        let (stream, server) = served(|mut board| {
            board.write_all(&[IAC, WILL, ECHO]).unwrap();
            read(&mut board, 3);
            board
                .write_all(&[b"last words".as_slice(), &[IAC, WILL, COM_PORT]].concat())
                .unwrap();
            board
        });
        let ours = stream.try_clone().unwrap();
        let mut line = open(stream).unwrap();
        let _board = server.join().unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read(&mut line.reader, 10), b"last words");
        let error = line.reader.read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_is_read_is_acknowledged_at_once() {
        let (stream, server) = served(|mut board| {
            board.write_all(&SER2NET).unwrap();
            read(&mut board, 18);
            board
        });
        let ours = stream.try_clone().unwrap();
        let mut line = open(stream).unwrap();
        let mut board = server.join().unwrap();
        // As the kernel does by itself on a line on which there is talk and answer.
        set_tcp_quickack(&ours, false).unwrap();
        assert!(!tcp_quickack(&ours).unwrap());
        board.write_all(b"x").unwrap();
        read(&mut line.reader, 1);
        assert!(tcp_quickack(&ours).unwrap());
    }
}
