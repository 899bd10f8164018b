// SPDX-License-Identifier: MIT OR Apache-2.0

//! A session whose client is told by an eventfd.

use std::time::Duration;

use dmacopy_client::{Coalescing, Descriptor, Device, Rings, Session};
use kernel_channels::eventfd::Counter;

use crate::{Result, submit};

/// A session with an eventfd that it tells.
#[derive(Debug)]
pub struct Told {
    /// Its device.
    pub device: Device,
    /// The session.
    pub session: Session,
    /// Its rings.
    pub rings: Rings,
    /// How often it has told.
    pub counter: Counter,
}

impl Told {
    /// Opens a session of the first device.
    ///
    /// # Errors
    ///
    /// What opening it returned.
    pub fn new() -> Result<Self> {
        let device = Device::first()?;
        let session = device.session()?;
        let rings = session.rings()?;
        let counter = Counter::new()?;
        session.tell_eventfd(&counter)?;
        Ok(Self {
            device,
            session,
            rings,
            counter,
        })
    }

    /// Submits descriptors, and does not wait for them.
    ///
    /// # Errors
    ///
    /// When they are not all taken.
    pub fn submit(&mut self, descriptors: &[Descriptor]) -> Result<()> {
        submit(&mut self.rings, &self.session, descriptors, 0)
    }

    /// Sets of how many completions it tells together, and returns what that was.
    ///
    /// # Errors
    ///
    /// What the driver returned.
    pub fn coalesce(&self, count: u32, delay: Duration) -> Result<Coalescing> {
        Ok(self.session.coalesce(Coalescing { count, delay })?)
    }
}
