// SPDX-License-Identifier: GPL-2.0

//! `IORING_OP_URING_CMD`: the doorbell by io_uring.
//!
//! A command that waits for nothing is completed when it is issued. One that waits for completions
//! is kept with the rings, and completed by whoever posts enough of them; so io_uring waits for it,
//! and no thread does.

use kernel::{
    prelude::*,
    sync::ArcBorrow, //
};

use crate::{
    session::Session,
    sys::{
        compat::ECANCELED,
        uring::{
            Cancelled,
            Command,
            Issued,
            Pending, //
        }, //
    },
    uapi::ioctl, //
};

/// How many commands of a session can wait at a time.
const MAX_WAITING: usize = 64;

/// A command that waits for completions to be read.
struct Waiting {
    pending: Pending,
    /// How many.
    wait: u32,
    /// How many descriptors it has taken, which is its result.
    taken: u32,
}

impl Waiting {
    /// Ends the wait: what has been taken is told, whatever else has happened.
    fn end(self, reason: Result) {
        self.pending.complete(match reason {
            Err(error) if self.taken == 0 => Err(error),
            _ => Ok(self.taken),
        });
    }
}

/// The commands of a session that wait.
pub(crate) struct Commands(KVec<Waiting>);

impl Commands {
    /// None.
    pub(crate) const fn new() -> Self {
        Self(KVec::new())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the wait of those that have what they wait for: `unread` completions, or all there will
    /// be, if nothing is under way.
    pub(crate) fn end_waits(&mut self, unread: Result<u32>, is_idle: bool) {
        let is_over = |waiting: &Waiting| match unread {
            Ok(unread) => is_idle || unread >= waiting.wait,
            Err(_) => true,
        };
        while let Some(waiting) = self.take(is_over) {
            waiting.end(unread.map(drop));
        }
    }

    /// Ends the wait of all.
    pub(crate) fn end_all(&mut self, reason: Error) {
        while let Some(waiting) = self.take(|_| true) {
            waiting.end(Err(reason));
        }
    }

    fn add(&mut self, waiting: Waiting) {
        let room = match self.0.len() {
            MAX_WAITING.. => Err(EBUSY),
            _ => self.0.reserve(1, GFP_KERNEL).map_err(Error::from),
        };
        // With the room that there is, pushing cannot fail.
        match room {
            Ok(()) => drop(self.0.push(waiting, GFP_KERNEL)),
            Err(error) => waiting.end(Err(error)),
        }
    }

    fn take(&mut self, f: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let index = self.0.iter().position(f)?;
        self.0.remove(index).ok()
    }
}

impl Session {
    /// A command has been issued.
    pub(crate) fn command(self: ArcBorrow<'_, Self>, command: Command<'_>) -> Issued {
        // First: whatever is asked for, it is the answer.
        if self.device().is_gone() {
            return command.complete(Err(ENODEV));
        }
        let (count, wait) = match Self::arguments(&command) {
            Ok(arguments) => arguments,
            Err(error) => return command.complete(Err(error)),
        };
        let taken = match self.take(count) {
            Ok(taken) => taken,
            Err(error) => return command.complete(Err(error)),
        };
        // The rest is as of the system call: what has been taken is told, whatever else happens.
        match self.has_completions(wait) {
            Ok(false) => self.wait_by_command(command, wait, taken),
            Err(error) if taken == 0 => command.complete(Err(error)),
            _ => command.complete(Ok(taken)),
        }
    }

    /// How many descriptors a command wants taken, and how many completions it waits for.
    fn arguments(command: &Command<'_>) -> Result<(u32, u32)> {
        if ioctl::command(command.operation()) != ioctl::command(ioctl::SUBMIT) {
            return Err(ENOTTY);
        }
        // The argument is as long as an entry has room for.
        if command.operation() != ioctl::SUBMIT {
            return Err(EINVAL);
        }
        match command.argument() {
            Some([count, wait, 0, 0]) => Ok((*count, *wait)),
            _ => Err(EINVAL),
        }
    }

    fn wait_by_command(&self, command: Command<'_>, wait: u32, taken: u32) -> Issued {
        // Before the rings are locked: this takes a lock of io_uring, which commands are issued with.
        let (pending, issued) = command.pend();
        let waiting = Waiting {
            pending,
            wait,
            taken,
        };
        self.with_commands(|commands| commands.add(waiting));
        issued
    }

    /// A command is to wait no longer.
    pub(crate) fn cancel_command(&self, cancelled: &Cancelled) {
        let found =
            self.with_commands(|commands| commands.take(|waiting| cancelled.is(&waiting.pending)));
        // It may have got what it waited for at the same time.
        if let Some(waiting) = found {
            waiting.end(Err(ECANCELED));
        }
    }
}
