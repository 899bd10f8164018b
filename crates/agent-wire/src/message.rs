// SPDX-License-Identifier: MIT OR Apache-2.0

//! What PC and agent say to each other over a [connection](crate::connection).
//!
//! The PC asks, the agent replies; each request has a number that its replies carry too, so many
//! can be under way at once. Messages are encoded with postcard. Both sides come from the same
//! commit, except on a board whose agent was installed earlier: so the first request and its reply
//! carry [`PROTOCOL`] and never change their form.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::content::Content;
use crate::kernel_log::Record;

/// Grows when a message changes its form.
pub const PROTOCOL: u32 = 3;

/// How much of a file or of a program's input or output one message carries at most, in bytes.
pub const CHUNK: usize = 32 << 10;

/// A request with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Chosen by the PC, another one for each request.
    pub number: u32,
    /// What is asked.
    pub request: Request,
}

/// A reply with the number of the request that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// As in [`Call::number`].
    pub number: u32,
    /// What is answered.
    pub reply: Reply,
}

/// What the PC asks of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// Who are you? [`Reply::Welcome`]. The first request; its form never changes.
    Hello {
        /// [`PROTOCOL`] of the PC.
        protocol: u32,
    },
    /// Are you there? [`Reply::Pong`].
    Ping,
    /// Start a program: [`Reply::Started`], any number of [`Reply::Output`], then [`Reply::Ended`].
    Run(Program),
    /// Bytes for the standard input of the program with this call's number; none ends the input.
    /// No reply.
    Input {
        /// What to write.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// Send a signal to the process group of the program with this call's number. No reply.
    Signal {
        /// As in `signal(7)`.
        signal: i32,
    },
    /// Take a file: [`Reply::Continue`], then [`Request::Data`] from there, then [`Reply::Done`].
    /// One that is there already with this content is [`Reply::Done`] at once.
    Put {
        /// Absolute path; missing folders are made.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Length, bytes.
        length: u64,
        /// SHA-256 of the content.
        sha256: [u8; 32],
    },
    /// The next part of the file that this call puts. No reply before the last.
    Data {
        /// Where it belongs, bytes from the start.
        offset: u64,
        /// What it is.
        content: Content,
    },
    /// Send a file from an offset on: [`Reply::Length`], [`Reply::Data`], [`Reply::Done`].
    Get {
        /// Absolute path.
        path: String,
        /// Where to begin, bytes from the start.
        offset: u64,
    },
    /// Load a module: [`Reply::Done`].
    LoadModule {
        /// Absolute path of the file.
        path: String,
        /// Parameters, as on `insmod`'s command line.
        parameters: String,
    },
    /// Unload a module: [`Reply::Done`].
    UnloadModule {
        /// Its name, as in `/proc/modules`.
        name: String,
    },
    /// The kernel's messages from a number on: [`Reply::KernelLog`].
    KernelLog {
        /// The first that is wanted; a number in the future asks for where the log ends now.
        from: u64,
    },
    /// Make the board as it was when the agent had started: [`Reply::Restored`].
    Restore {
        /// Unload and load the modules anew that are under test.
        reload_modules: bool,
    },
    /// Switch the board off: [`Reply::Done`] comes before that happens.
    PowerOff,
    /// Restart the board: [`Reply::Done`] comes before that happens.
    Restart,
    /// Put these modules under test in place of those of the plan: the ones of their names that are
    /// loaded are unloaded, then these are loaded, in this order: [`Reply::Done`]. For an agent that
    /// has come by a remote login, and so has no plan.
    UnderTest {
        /// Absolute paths of their files.
        modules: Vec<String>,
    },
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reply {
    /// To [`Request::Hello`]. Its form never changes.
    Welcome {
        /// [`PROTOCOL`] of the agent.
        protocol: u32,
        /// Version of the agent's package.
        version: String,
        /// `uname -r`.
        kernel: String,
        /// Time since the kernel started, microseconds, by the clock of the kernel's log.
        uptime_us: u64,
        /// `/proc/sys/kernel/random/boot_id`: another one for each boot.
        boot: String,
        /// `compatible` of the device tree's root node.
        compatible: Vec<String>,
        /// Whether the agent is the board's first program, so that all else belongs to it.
        is_init: bool,
        /// The module that was not loaded at boot, if one was not.
        refused: Option<ModuleRefused>,
    },
    /// To [`Request::Ping`].
    Pong,
    /// A program runs.
    Started {
        /// Its process.
        pid: u32,
    },
    /// A program has written something.
    Output {
        /// Where to.
        stream: Stream,
        /// What, exactly as written.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// A program has ended.
    Ended(Ended),
    /// Send the file from here on.
    Continue {
        /// Bytes that have come earlier.
        offset: u64,
    },
    /// The length of the file that follows.
    Length {
        /// Of the whole file, bytes.
        length: u64,
        /// Its permission bits.
        mode: u32,
        /// SHA-256 of the whole content.
        sha256: [u8; 32],
    },
    /// The next part of a file.
    Data {
        /// Where it belongs, bytes from the start.
        offset: u64,
        /// The content.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// What was asked has been done.
    Done,
    /// To [`Request::KernelLog`].
    KernelLog {
        /// The messages, oldest first.
        records: Vec<Record>,
        /// The number that the next message will have.
        next: u64,
        /// How many were overwritten before they could be read.
        lost: u64,
        /// `/proc/sys/kernel/tainted`.
        taint: u64,
        /// Time since the kernel started, microseconds, by the clock of the kernel's log.
        uptime_us: u64,
    },
    /// To [`Request::Restore`].
    Restored {
        /// What had to be done, one sentence each.
        done: Vec<String>,
        /// What could not be undone, one sentence each; if there is any, the board should be
        /// restarted.
        left: Vec<String>,
    },
    /// What was asked could not be done.
    Failed(Failure),
}

/// A program to run on the board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Absolute path and arguments.
    pub command: Vec<String>,
    /// Environment, added to the agent's own.
    pub environment: BTreeMap<String, String>,
    /// Where to start; the top folder if there is none.
    pub folder: Option<String>,
    /// How long it may run, milliseconds; then its process group is killed.
    pub limit_ms: Option<u64>,
    /// Whether input will be sent; otherwise it reads from `/dev/null`.
    pub has_input: bool,
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit status, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it was killed because its time was up.
    pub timed_out: bool,
    /// How long it ran, microseconds.
    pub duration_us: u64,
}

/// One of a program's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A module that the kernel did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleRefused {
    /// Path of the module.
    pub module: String,
    /// The error of `finit_module(2)`, or that it did not return.
    pub error: String,
    /// The kernel's messages since the agent began to load modules.
    pub kernel_log: Vec<Record>,
}

/// Why something could not be done on the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{attempt}: {reason}")]
pub struct Failure {
    /// What was attempted, and on which object.
    pub attempt: String,
    /// Why it failed.
    pub reason: String,
    /// The error number, if the kernel gave one.
    pub errno: Option<i32>,
}

/// A message that cannot be read, because the other side is of another version or out of its mind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unreadable message: {0}")]
pub struct Unreadable(String);

/// A message as bytes.
///
/// # Errors
///
/// None that a message of this module can bring about.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, Unreadable> {
    postcard::to_stdvec(message).map_err(|error| Unreadable(error.to_string()))
}

/// A message from bytes.
///
/// # Errors
///
/// When they are none, or more than one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(Unreadable(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(Unreadable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was() {
        let sent = Answer {
            number: 300,
            reply: Reply::Output {
                stream: Stream::Stderr,
                bytes: vec![0, 255, 10],
            },
        };
        assert_eq!(decode(&encode(&sent).unwrap()), Ok(sent));
    }

    #[test]
    fn bytes_cost_little_more_than_themselves() {
        let bytes = vec![0xff; CHUNK];
        let data = Call {
            number: 1,
            request: Request::Data {
                offset: 1 << 30,
                content: Content::Plain(bytes),
            },
        };
        assert!(encode(&data).unwrap().len() < CHUNK + 16);
    }

    #[test]
    fn the_first_messages_keep_their_form() {
        // An agent of any version must be able to say that it is of another.
        let hello = Call {
            number: 1,
            request: Request::Hello { protocol: 7 },
        };
        assert_eq!(encode(&hello).unwrap(), [1, 0, 7]);
        let welcome = Answer {
            number: 1,
            reply: Reply::Welcome {
                protocol: 7,
                version: "v".into(),
                kernel: "k".into(),
                uptime_us: 5,
                boot: "b".into(),
                compatible: vec!["c".into()],
                is_init: true,
                refused: None,
            },
        };
        let expected = [1, 0, 7, 1, b'v', 1, b'k', 5, 1, b'b', 1, 1, b'c', 1, 0];
        assert_eq!(encode(&welcome).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(decode::<Call>(&[]).is_err());
        assert!(decode::<Call>(&[1, 200]).is_err());
        assert!(decode::<Call>(&[1, 0, 7, 0]).is_err());
    }
}
