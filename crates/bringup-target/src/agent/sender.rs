// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sends frames, from whatever thread has something to say.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use agent_wire::{Frame, Message};

use super::give_up;

/// The port with the number of the next frame.
#[derive(Debug)]
pub(super) struct Sender<W> {
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    port: W,
    sequence: u64,
    broken: bool,
}

impl<W: Write> Sender<W> {
    pub(super) fn new(port: W) -> Self {
        let state = Mutex::new(State {
            port,
            sequence: 0,
            broken: false,
        });
        Self { state }
    }

    /// Sends a message. When the port fails, that is said on the console, once: the plan is
    /// carried out all the same, so that the board comes to its end.
    pub(super) fn send(&self, message: Message) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return;
        }
        let sequence = state.sequence;
        state.sequence += 1;
        let sent = Frame { sequence, message }
            .encode()
            .map_err(Into::into)
            // In one write, so that the kernel's messages do not get between more than they must.
            .and_then(|line| state.port.write_all(line.as_bytes()));
        if let Err(error) = sent {
            state.broken = true;
            give_up(&format!("cannot send frame {sequence}: {error}"));
        }
    }

    #[cfg(test)]
    pub(super) fn into_port(self) -> W {
        self.state.into_inner().unwrap().port
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use agent_wire::{Reader, Received};

    use super::*;

    #[test]
    fn frames_of_many_threads_are_whole_and_in_sequence() {
        let sender = Sender::new(Vec::new());
        std::thread::scope(|scope| {
            for program in 0..4 {
                let sender = &sender;
                scope.spawn(move || {
                    for _ in 0..50 {
                        sender.send(Message::Started { program });
                    }
                });
            }
        });
        let received = Reader::new().push(&sender.into_port());
        assert_eq!(received.len(), 200);
        assert!(received.iter().all(|r| matches!(r, Received::Frame(_))));
    }

    #[test]
    fn a_broken_port_is_not_written_again() {
        #[derive(Debug)]
        struct Broken(u32);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sender = Sender::new(Broken(0));
        sender.send(Message::Finished { taint: 0 });
        sender.send(Message::Finished { taint: 0 });
        assert_eq!(sender.into_port().0, 1);
    }
}
