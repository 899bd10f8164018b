// SPDX-License-Identifier: MIT OR Apache-2.0

//! What devices there are and what they do, and news about them, over generic netlink.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use dmacopy_uapi::names;
use dmacopy_uapi::netlink::{self, attribute, command, group, state};
use kernel_channels::netlink::{Attribute, Connection, Listener, Message};

use crate::error::Context;
use crate::{Counters, Error, Operation, State};

/// Asks the driver about its devices, for which no privilege and no open file is needed.
#[derive(Debug)]
pub struct Query {
    connection: Connection,
}

impl Query {
    /// Finds the driver.
    ///
    /// # Errors
    ///
    /// [`Error::List`] when it is not loaded.
    pub fn open() -> Result<Self, Error> {
        let connection = Connection::open(netlink::FAMILY).map_err(Error::List)?;
        Ok(Self { connection })
    }

    /// The connection, for requests without types.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The device with a number.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], with `ENODEV` when there is none.
    pub fn device(&mut self, number: u32) -> Result<Status, Error> {
        let name = format!("{}{number}", names::DRIVER);
        let number = Attribute::u32(attribute::NUMBER, number);
        let answers = self
            .connection
            .request(command::GET_DEVICE, &[number])
            .on(&name, Operation::QueryStatus)?;
        match answers.first() {
            Some(answer) => Status::read(answer),
            None => Err(Error::NoDevice),
        }
    }

    /// All devices, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// [`Error::List`] when they cannot be listed.
    pub fn devices(&mut self) -> Result<Vec<Status>, Error> {
        let answers = self.connection.dump(command::GET_DEVICE, &[]);
        let answers = answers.map_err(Error::List)?;
        answers.iter().map(Status::read).collect()
    }
}

/// A device at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its number.
    pub number: u32,
    /// Its name, for example `dmacopy0`.
    pub name: String,
    /// The version of the driver's ABI.
    pub abi_version: u32,
    /// Which engine moves the bytes: one of the `ENGINE_` constants.
    pub engine: u32,
    /// What the engine is doing.
    pub state: State,
    /// What it can do: a combination of the `CAP_` constants.
    pub capabilities: u64,
    /// Sessions that are open.
    pub sessions: u64,
    /// What the engine has done since probe.
    pub counters: Counters,
    /// The size of the buffer that a new session gets, in bytes.
    pub buffer_bytes: u64,
    /// The longest transfer that the engine takes, in bytes.
    pub max_transfer_bytes: u64,
    /// How long the engine may complete nothing while a transfer is there.
    pub timeout: Duration,
}

impl Status {
    fn read(message: &Message) -> Result<Self, Error> {
        let u32 = |attribute| message.u32(attribute).map_err(Error::List);
        let uint = |attribute| message.uint(attribute).map_err(Error::List);
        let name = message.text(attribute::NAME).map_err(Error::List)?;
        Ok(Self {
            number: u32(attribute::NUMBER)?,
            name: name.to_owned(),
            abi_version: u32(attribute::ABI_VERSION)?,
            engine: u32(attribute::ENGINE)?,
            state: read_state(name, u32(attribute::STATE)?)?,
            capabilities: uint(attribute::CAPABILITIES)?,
            sessions: uint(attribute::SESSIONS)?,
            counters: Counters {
                transfers: uint(attribute::TRANSFERS)?,
                bytes: uint(attribute::BYTES)?,
                errors: uint(attribute::ERRORS)?,
            },
            buffer_bytes: uint(attribute::BUFFER_BYTES)?,
            max_transfer_bytes: uint(attribute::MAX_TRANSFER_BYTES)?,
            timeout: Duration::from_millis(u32(attribute::TIMEOUT_MS)?.into()),
        })
    }
}

fn read_state(device: &str, number: u32) -> Result<State, Error> {
    match number {
        state::RUNNING => Ok(State::Running),
        state::STALLED => Ok(State::Stalled),
        state::FAILED => Ok(State::Failed),
        _ => Err(Error::UnknownState {
            device: device.to_owned(),
            text: number.to_string(),
        }),
    }
}

/// Listens to news about all devices, for which no privilege is needed.
#[derive(Debug)]
pub struct Events {
    listener: Listener,
}

/// News about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It has come.
    Added {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// It has gone.
    Removed {
        /// Its number, which another one may get.
        number: u32,
        /// Its name.
        name: String,
    },
    /// Its engine has stalled or failed, or goes on.
    StateChanged {
        /// The device's number.
        number: u32,
        /// What the engine is doing now.
        state: State,
        /// The number of the first transfer that took too long, or that completed afterwards.
        sequence: u64,
    },
}

impl Events {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// [`Error::Events`] when the driver is not loaded.
    pub fn listen() -> Result<Self, Error> {
        let listener = Listener::join(netlink::FAMILY, group::EVENTS).map_err(Error::Events)?;
        Ok(Self { listener })
    }

    /// Waits for the next event; `None` when the time ran out. Events that this library does not
    /// know are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Events`], with `ENOBUFS` when this program was too slow and events were lost, after
    /// which it may go on; [`Error::UnknownState`].
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        loop {
            let Some(message) = self.listener.next(timeout).map_err(Error::Events)? else {
                return Ok(None);
            };
            if let Some(event) = Event::read(&message)? {
                return Ok(Some(event));
            }
        }
    }
}

/// Waits for one event after the other, without an end.
impl Iterator for Events {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        // Without a timeout there is always one.
        Self::next(self, None).transpose()
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Event {
    /// What a message tells, if it is an event that is known.
    fn read(message: &Message) -> Result<Option<Self>, Error> {
        let number = message.u32(attribute::NUMBER).map_err(Error::Events)?;
        let name = || message.text(attribute::NAME).map(str::to_owned);
        let event = match message.command {
            command::DEVICE_ADDED => Self::Added {
                number,
                name: name().map_err(Error::Events)?,
            },
            command::DEVICE_REMOVED => Self::Removed {
                number,
                name: name().map_err(Error::Events)?,
            },
            command::STATE_CHANGED => Self::StateChanged {
                number,
                state: {
                    let name = format!("{}{number}", names::DRIVER);
                    let state = message.u32(attribute::STATE).map_err(Error::Events)?;
                    read_state(&name, state)?
                },
                sequence: message.uint(attribute::SEQUENCE).map_err(Error::Events)?,
            },
            _ => return Ok(None),
        };
        Ok(Some(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_by_their_numbers() {
        assert_eq!(read_state("x", state::RUNNING).unwrap(), State::Running);
        assert_eq!(read_state("x", state::STALLED).unwrap(), State::Stalled);
        assert_eq!(read_state("x", state::FAILED).unwrap(), State::Failed);
        let error = read_state("dmacopy0", 9).unwrap_err();
        assert_eq!(error.to_string(), "dmacopy0: unknown state \"9\"");
    }
}
