// SPDX-License-Identifier: MIT OR Apache-2.0

//! What connects a PC with a board: power, console, a line to the agent.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use agent_wire::link;

use crate::stimulus::Stimulus;
use crate::{Error, Fate};

/// Both directions of a line.
pub struct Duplex {
    /// What comes from the board. A reader of a line that does not end by itself returns
    /// [`std::io::ErrorKind::TimedOut`] from time to time.
    pub reader: Box<dyn Read + Send>,
    /// What goes to the board.
    pub writer: Box<dyn Write + Send>,
}

impl Debug for Duplex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Duplex").finish_non_exhaustive()
    }
}

/// How the agent is reached.
#[derive(Debug)]
pub enum AgentLine {
    /// By a line of its own.
    Own(Duplex, link::Line),
    /// By the console, which it shares with the kernel.
    Console(link::Line),
    /// Not yet: what carries the line, a network or a remote login, is not up. To be asked again.
    NotYet,
}

/// One way to be connected with a board.
pub trait Wiring: Debug + Send {
    /// What kind of bench this is: one word.
    fn kind(&self) -> &'static str;

    /// Switches the board on. Where that means waiting for somebody else, it ends when `fate`, which
    /// is that of the boot that begins, is decided.
    ///
    /// # Errors
    ///
    /// When that cannot be done.
    fn power_on(&mut self, fate: &Fate) -> Result<(), Error>;

    /// Switches the board off, whatever it is doing. One that is off stays off.
    ///
    /// # Errors
    ///
    /// When that cannot be done.
    fn power_off(&mut self) -> Result<(), Error>;

    /// The console of a board that has just been switched on, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    fn console(&mut self) -> Result<Option<Duplex>, Error>;

    /// How the agent of a board that is on is reached.
    ///
    /// # Errors
    ///
    /// When that will never be possible.
    fn agent(&mut self) -> Result<AgentLine, Error>;

    /// Gives the board back to whoever hands it out to one user at a time. Nothing is done with it
    /// after that.
    fn release(&mut self) {}

    /// What is known of a board that has gone off by itself, if it has.
    fn ended(&mut self) -> Option<Error> {
        None
    }

    /// Writes an image to the card or disk that the board boots from, while the board is off. One
    /// that was not written to its end is not given to the board.
    ///
    /// # Errors
    ///
    /// When the bench has none, or it cannot be written.
    fn write_storage(&mut self, _image: &Path) -> Result<(), Error> {
        Err(Error::NoStorage)
    }

    /// What can be done to the board while it runs, if anything. It works as long as this exists.
    fn stimulus(&self) -> Option<Arc<dyn Stimulus>> {
        None
    }

    /// The process that is the board, if it is one.
    fn pid(&self) -> Option<u32> {
        None
    }
}
