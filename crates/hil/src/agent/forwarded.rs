// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests that somebody else has made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent_wire::message::{Reply, Request};

use super::Agent;
use super::calls::{Call, Caller};
use crate::Error;

/// How somebody else's request goes on.
#[derive(Debug)]
pub(crate) struct Asking {
    caller: Caller,
    over: Arc<AtomicBool>,
}

/// What comes of it, for him.
#[derive(Debug)]
pub(crate) struct Answers {
    call: Call,
    over: Arc<AtomicBool>,
}

impl Agent {
    /// Makes a request for somebody else.
    pub(crate) fn forward(&self, request: Request) -> Result<(Asking, Answers), Error> {
        let call = self.begin(request)?;
        let over = Arc::new(AtomicBool::new(false));
        let asking = Asking {
            caller: call.caller().clone(),
            over: over.clone(),
        };
        Ok((asking, Answers { call, over }))
    }
}

impl Asking {
    /// Goes on with it.
    pub(crate) fn send(&self, request: Request) -> Result<(), Error> {
        self.caller.send(request)
    }

    /// Whether the last reply has come.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

impl Answers {
    /// The next reply and whether it is the last; none if that takes longer.
    pub(crate) fn next(&self, limit: Duration) -> Result<Option<(Reply, bool)>, Error> {
        match self.call.any_reply(limit) {
            Ok(reply) => {
                let is_last = is_last(&reply);
                self.over.fetch_or(is_last, Ordering::Relaxed);
                Ok(Some((reply, is_last)))
            }
            Err(Error::Unanswered { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_last(reply: &Reply) -> bool {
    !matches!(
        reply,
        Reply::Started { .. }
            | Reply::Output { .. }
            | Reply::Continue { .. }
            | Reply::Length { .. }
            | Reply::Data { .. }
    )
}
