// SPDX-License-Identifier: GPL-2.0

//! A session in a few lines, for developers.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::{
    ring::Positions,
    session::Session, //
};

/// What there is to say of a session, one `name: value` per line.
pub(crate) struct Report {
    session: u64,
    buffer_bytes: usize,
    charged_bytes: usize,
    transfers: usize,
    stream_writes: usize,
    stream_bytes: usize,
    rings: Positions,
}

impl Report {
    /// The state of `session` at this moment.
    pub(crate) fn of(session: &Session) -> Self {
        let (stream_writes, stream_bytes) = session.stream().lock().on_their_way();
        Self {
            session: session.number(),
            buffer_bytes: session.buffer_bytes(),
            charged_bytes: session.account().used_bytes(),
            transfers: session.lane().in_flight(),
            stream_writes,
            stream_bytes,
            rings: session.ring_positions(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rings = &self.rings;
        let lines = [
            ("session", self.session),
            // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
            ("buffer_bytes", self.buffer_bytes as u64),
            ("charged_bytes", self.charged_bytes as u64),
            ("transfers", self.transfers as u64),
            ("stream_writes", self.stream_writes as u64),
            ("stream_bytes", self.stream_bytes as u64),
            ("ring_entries", u64::from(rings.entries)),
            ("submission_tail", u64::from(rings.submission_tail)),
            ("submission_head", u64::from(rings.submission_head)),
            ("completion_tail", u64::from(rings.completion_tail)),
            ("completion_head", u64::from(rings.completion_head)),
        ];
        for (name, value) in lines {
            fmt::Write::write_fmt(f, fmt!("{name}: {value}\n"))?;
        }
        Ok(())
    }
}
