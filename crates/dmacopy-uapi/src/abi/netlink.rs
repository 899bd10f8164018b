// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! The generic netlink family: what devices there are and what they do, and news about them.
//!
//! Attributes of type `u32` have four bytes, those of type `uint` four or eight, as the value
//! needs, and strings end with a zero byte. All are in the byte order of the machine.

/// The name of the family.
pub const FAMILY: &str = "dmacopy";

/// The version of the family. It grows when something is added.
pub const VERSION: u8 = 1;

/// Multicast groups.
pub mod group {
    /// The events: [`super::command::DEVICE_ADDED`] and those after it.
    pub const EVENTS: &str = "events";
}

/// Commands.
pub mod command {
    /// Asks for the device with [`super::attribute::NUMBER`] or, as a dump without attributes, for
    /// all; each is told by a message with this command.
    pub const GET_DEVICE: u8 = 1;
    /// Event: a device has come.
    pub const DEVICE_ADDED: u8 = 2;
    /// Event: a device has gone, and all that it was doing has ended.
    pub const DEVICE_REMOVED: u8 = 3;
    /// Event: a device's engine has stalled, or goes on.
    pub const STATE_CHANGED: u8 = 4;
}

/// Attributes.
pub mod attribute {
    /// `u32`: the device's number, N in `/dev/dmacopyN`.
    pub const NUMBER: u16 = 1;
    /// String: the device's name, as in `dmacopy0`.
    pub const NAME: u16 = 2;
    /// `u32`: the driver's [`super::super::ABI_VERSION`].
    pub const ABI_VERSION: u16 = 3;
    /// `u32`: which engine moves the bytes, one of the `ENGINE_` constants of
    /// [`super::super::ioctl`].
    pub const ENGINE: u16 = 4;
    /// `u32`: one of [`super::state`].
    pub const STATE: u16 = 5;
    /// `uint`: what the device offers, the `CAP_` constants of [`super::super::ioctl`].
    pub const CAPABILITIES: u16 = 6;
    /// `uint`: sessions that are open now.
    pub const SESSIONS: u16 = 7;
    /// `uint`: transfers completed since probe.
    pub const TRANSFERS: u16 = 8;
    /// `uint`: bytes moved by the engine since probe.
    pub const BYTES: u16 = 9;
    /// `uint`: transfers that failed or timed out since probe.
    pub const ERRORS: u16 = 10;
    /// `uint`: size in bytes of the buffer that a new session gets.
    pub const BUFFER_BYTES: u16 = 11;
    /// `uint`: the longest transfer that the engine takes, in bytes.
    pub const MAX_TRANSFER_BYTES: u16 = 12;
    /// `u32`: how long the engine may complete nothing while a transfer is there, milliseconds.
    pub const TIMEOUT_MS: u16 = 13;
    /// `uint`, in [`super::command::STATE_CHANGED`]: the number of the transfer that stalled, or of
    /// the first that completed afterwards.
    pub const SEQUENCE: u16 = 14;
}

/// Values of [`attribute::STATE`].
pub mod state {
    /// The engine completes transfers.
    pub const RUNNING: u32 = 0;
    /// Nothing has completed for [`super::attribute::TIMEOUT_MS`] although a transfer was there.
    pub const STALLED: u32 = 1;
    /// The engine cannot even be reset; that is tried again and again.
    pub const FAILED: u32 = 2;
}
