// SPDX-License-Identifier: MIT OR Apache-2.0

//! A device of a board that the bench plays itself, and can have fail.

use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;

/// A PCI function that is played by a thread of the bench. An emulator connects with it by the
/// vfio-user protocol; what it is, only those know who play it and who drive it.
pub trait Peripheral: Debug + Send + Sync {
    /// A socket at which it waits for one emulator after the other. A process that inherits it as
    /// descriptor N connects with `/proc/self/fd/N`.
    ///
    /// # Errors
    ///
    /// When there is none.
    fn socket(&self) -> io::Result<OwnedFd>;

    /// Has it do something, in a language of its own, and returns its answer in that.
    ///
    /// # Errors
    ///
    /// When it does not understand, in words.
    fn instruct(&self, instruction: &str) -> Result<String, String>;

    /// Takes back whatever it was instructed to do.
    fn restore(&self);
}
