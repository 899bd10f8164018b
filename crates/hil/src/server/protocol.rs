// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a bench and its users say to each other over a local socket.
//!
//! Each message is its length, four bytes with the lowest first, and so many bytes of postcard. That
//! both sides mean the same by them, they tell each other before; see [`super::greeting`].

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use agent_wire::message::{decode, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::hold::Hold;
use crate::stimulus::{Action, Level, Point};
use crate::{Error, Lost, State};

/// The longest message, in bytes.
const LONGEST: u32 = 64 << 20;

/// What a user asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Let nobody else use the board until this connection ends: any number of
    /// [`Answer::Waiting`], then [`Answer::Held`].
    Hold {
        /// Who asks, for whoever has to wait.
        who: String,
    },
    /// Use the board within somebody else's hold, who goes on to hold it when this connection ends:
    /// answered as [`Request::Hold`].
    Borrow {
        /// Of the hold.
        token: u64,
        /// Who asks.
        who: String,
    },
    /// Wait until who has borrowed the board has gone and been cleaned up behind: any number of
    /// [`Answer::Waiting`], then [`Answer::Done`]. Only who lends it asks that.
    Settle,
    /// What is this bench? [`Answer::About`].
    About,
    /// Bring the board so far: [`Answer::Done`].
    Reach(State),
    /// Take the power from it: [`Answer::Done`].
    CutPower,
    /// How far has the board come? [`Answer::State`].
    State,
    /// Why was the board lost? [`Answer::Failed`], or [`Answer::Done`] if it was not.
    Explain,
    /// What number will the console's next line have? [`Answer::Mark`].
    Mark,
    /// The console's lines from a number on: [`Answer::Lines`].
    Console {
        /// The number of the first.
        since: u64,
    },
    /// From now on this connection carries what the console says, as plain bytes.
    Watch,
    /// Type something at the console: [`Answer::Done`].
    Type(Vec<u8>),
    /// From now on this connection is a line to the agent of a board that is ready:
    /// [`Answer::Done`] comes first.
    Agent {
        /// From [`Answer::Held`].
        hold: Hold,
    },
    /// What can be done to the board while it runs? [`Answer::Points`].
    Points,
    /// Do something to it: [`Answer::Done`], or [`Answer::Level`] of a line that was looked at.
    Act {
        /// The point's name.
        name: String,
        /// What is done.
        action: Action,
    },
    /// Have a peripheral do something, in its own language: [`Answer::Said`].
    Instruct {
        /// The peripheral's name.
        name: String,
        /// What it is told.
        instruction: String,
    },
    /// Switch the board off and write an image to its card or disk: [`Answer::Done`].
    WriteStorage {
        /// An absolute path on this PC.
        image: PathBuf,
    },
    /// The hold, or the loan, ends in good order: the board stays on for the next user.
    /// [`Answer::Done`].
    Release {
        /// Whether the modules under test are loaded anew, because something went wrong with them.
        reload_modules: bool,
    },
}

/// What the bench answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It was done.
    Done,
    /// Somebody else holds the board.
    Waiting {
        /// Who.
        holder: String,
    },
    /// The board is held, which this proves to other connections.
    Held(Hold),
    /// To [`Request::About`].
    About(About),
    /// To [`Request::State`].
    State(State),
    /// To [`Request::Mark`].
    Mark(u64),
    /// To [`Request::Console`].
    Lines(Vec<Line>),
    /// To [`Request::Points`].
    Points(Vec<Point>),
    /// The level of a line.
    Level(Level),
    /// What a peripheral answered.
    Said(String),
    /// It could not be done.
    Failed(Trouble),
}

/// What a bench is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// The name of its board.
    pub board: String,
    /// The name its maker gave the board.
    pub title: String,
    /// What kind of bench it is: one word.
    pub kind: String,
    /// What the board was made of; another key is another board.
    pub key: String,
    /// The process that serves it.
    pub pid: u32,
    /// How far its board has come.
    pub state: State,
    /// All boots so far, the present one last.
    pub boots: Vec<Boot>,
    /// Who holds it now.
    pub holder: Option<String>,
}

/// One boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// When the board was switched on.
    pub started: SystemTime,
    /// How long it took until the agent answered; none as long as it does not.
    pub duration: Option<Duration>,
}

/// One line of the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) host: SystemTime,
    pub(crate) target: Option<Duration>,
    pub(crate) text: String,
}

/// Why a bench did not do what was asked, as it comes over the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{what}")]
pub struct Trouble {
    /// What failed and why, on one line.
    pub what: String,
    /// The console's last lines, or the kernel's log.
    pub evidence: Vec<String>,
    /// Of which kind it is.
    pub kind: TroubleKind,
}

/// Kinds of trouble, by who has to look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TroubleKind {
    /// A bound of time was passed.
    Timeout,
    /// The kernel panicked, or refused a module: what is under test is broken.
    Target,
    /// The bench is broken.
    Bench,
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        let mut what = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            what = format!("{what}: {error}");
            cause = error.source();
        }
        let kind = match error {
            Error::Trouble(trouble) => trouble.kind,
            error if error.is_timeout() => TroubleKind::Timeout,
            Error::ModuleRefused(_)
            | Error::Lost {
                lost: Lost::Panic { .. },
                ..
            } => TroubleKind::Target,
            _ => TroubleKind::Bench,
        };
        Self {
            what,
            evidence: error.evidence(),
            kind,
        }
    }
}

/// Sends a message.
pub(crate) fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let bytes = encode(message).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut all = length.to_le_bytes().to_vec();
    all.extend(bytes);
    to.write_all(&all)?;
    to.flush()
}

/// Receives a message. None when the other side has ended.
pub(crate) fn receive<T: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other("a message that long is none"));
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() != length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    decode(&bytes).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was_and_the_end_is_seen() {
        let mut line = Vec::new();
        send(&mut line, &Request::Reach(State::Ready)).unwrap();
        send(&mut line, &Request::Mark).unwrap();
        let mut line = line.as_slice();
        let first: Option<Request> = receive(&mut line).unwrap();
        assert_eq!(first, Some(Request::Reach(State::Ready)));
        assert_eq!(receive(&mut line).unwrap(), Some(Request::Mark));
        assert_eq!(receive::<Request>(&mut line).unwrap(), None);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let long = receive::<Request>([255_u8; 8].as_slice()).unwrap_err();
        assert_eq!(long.to_string(), "a message that long is none");
        assert!(receive::<Request>([1_u8, 0, 0, 0, 200].as_slice()).is_err());
        assert!(receive::<Request>([9_u8, 0, 0, 0, 0].as_slice()).is_err());
        // The end of a line is no end of a message.
        let mut line = Vec::new();
        send(&mut line, &Request::About).unwrap();
        line[0] = 100;
        assert!(receive::<Request>(line.as_slice()).is_err());
    }

    #[test]
    fn trouble_keeps_its_kind_and_its_evidence() {
        let console = vec!["last words".to_owned()];
        let lost = Lost::Panic { line: "x".into() };
        let trouble = Trouble::from(&Error::Lost { lost, console });
        assert_eq!(trouble.kind, TroubleKind::Target);
        assert_eq!(trouble.evidence, ["last words"]);
        let late = Error::Unanswered {
            limit: Duration::from_secs(1),
        };
        assert_eq!(Trouble::from(&late).kind, TroubleKind::Timeout);
        let start = Error::Start(io::Error::other("no qemu"));
        assert_eq!(Trouble::from(&start).what, "cannot start QEMU: no qemu");
    }
}
