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
            Ok(length) => early.extend(hear(&mut decoder, &writer, &buffer[..length])?),
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

/// What the bytes mean; what is to be answered is sent.
fn hear(decoder: &mut Decoder, writer: &Shared, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let (mut data, mut answer) = (Vec::new(), Vec::new());
    decoder.decode(bytes, &mut data, &mut answer);
    if !answer.is_empty() {
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(&answer)?;
    }
    Ok(data)
}

struct Reader {
    stream: TcpStream,
    decoder: Decoder,
    writer: Shared,
    /// What has come and not been fetched yet.
    decoded: Vec<u8>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoded.is_empty() {
            let mut raw = [0; 4096];
            let length = self.stream.read(&mut raw)?;
            acknowledge(&self.stream);
            if length == 0 {
                return Ok(0);
            }
            self.decoded = hear(&mut self.decoder, &self.writer, &raw[..length])?;
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
    use std::net::TcpListener;
    use std::thread;

    use super::decoder::WONT;
    use super::decoder::tests::{COM_PORT, SER2NET};
    use super::*;

    #[test]
    fn a_line_carries_all_bytes_both_ways_and_answers_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let limit = Some(Duration::from_secs(10));
        let server = thread::spawn(move || {
            let (mut board, _) = listener.accept().unwrap();
            board.set_read_timeout(limit).unwrap();
            board.write_all(&SER2NET).unwrap();
            let mut answer = [0; 18];
            board.read_exact(&mut answer).unwrap();
            board.write_all(&[b'o', b'k', IAC, IAC]).unwrap();
            let mut heard = [0; 4];
            board.read_exact(&mut heard).unwrap();
            (answer, heard)
        });
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(limit).unwrap();
        let Duplex {
            mut reader,
            mut writer,
        } = open(stream).unwrap();
        let mut heard = [0; 3];
        reader.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [b'o', b'k', IAC]);
        writer.write_all(&[1, IAC, 2]).unwrap();
        let (answer, heard) = server.join().unwrap();
        assert_eq!(answer[15..], [IAC, WONT, COM_PORT]);
        assert_eq!(heard, [1, IAC, IAC, 2]);
    }
}
