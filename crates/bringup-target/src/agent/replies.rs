// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sends replies, from whatever thread has one.

use std::fmt::Display;

use agent_wire::connection::Outbox;
use agent_wire::message::{Answer, Failure, Reply, encode};

use super::complain;

/// Where the replies to one request go.
#[derive(Clone, Debug)]
pub(super) struct Replies {
    outbox: Outbox,
    number: u32,
}

impl Replies {
    pub(super) fn new(outbox: &Outbox, number: u32) -> Self {
        Self {
            outbox: outbox.clone(),
            number,
        }
    }

    /// Sends a reply; whether there is still somebody to send it to.
    pub(super) fn send(&self, reply: Reply) -> bool {
        let answer = Answer {
            number: self.number,
            reply,
        };
        match encode(&answer) {
            Ok(bytes) => self.outbox.send(bytes).is_ok(),
            Err(error) => {
                complain(&format!("cannot encode a reply: {error}"));
                false
            }
        }
    }

    /// Sends that something is done, or why it could not be.
    pub(super) fn done(&self, attempt: impl Display, result: anyhow::Result<()>) {
        self.send(match result {
            Ok(()) => Reply::Done,
            Err(error) => failed(attempt, &error),
        });
    }
}

/// The reply that says why something could not be done.
pub(super) fn failed(attempt: impl Display, error: &anyhow::Error) -> Reply {
    let errno = error.chain().find_map(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        let nix = cause.downcast_ref::<nix::errno::Errno>();
        io.and_then(std::io::Error::raw_os_error)
            .or_else(|| nix.map(|errno| *errno as i32))
    });
    Reply::Failed(Failure {
        attempt: attempt.to_string(),
        reason: format!("{error:#}"),
        errno,
    })
}
