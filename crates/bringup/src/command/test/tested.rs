// SPDX-License-Identifier: MIT OR Apache-2.0

//! A bench under test: one that this process holds itself, or one that another serves.

use std::fmt::Debug;

use hil::server::Boot;
use hil::suite::Transcript;
use hil::{Agent, Bench, Error, Fixture};

use crate::module::Built;
use crate::warm;

/// What the tests need of a bench.
pub(super) trait Tested: Debug {
    /// The agent of its board, which is booted if it has to be.
    fn agent(&mut self) -> Result<Agent, Error>;

    /// Puts the checkout's driver on a board that has booted, if it may have another or none.
    fn bring_up_to_date(&mut self, built: &Built) -> Result<(), Error>;

    /// Says more of why the board was lost, if more is known.
    fn explain(&mut self, error: Error) -> Error;

    /// What its console says.
    fn transcript(&self) -> &dyn Transcript;

    /// All boots so far.
    fn boots(&self) -> Result<Vec<Boot>, Error>;
}

impl Tested for Fixture {
    fn agent(&mut self) -> Result<Agent, Error> {
        Self::agent(self)
    }

    /// It has been booted with it.
    fn bring_up_to_date(&mut self, _: &Built) -> Result<(), Error> {
        Ok(())
    }

    fn explain(&mut self, error: Error) -> Error {
        Self::explain(self, error)
    }

    fn transcript(&self) -> &dyn Transcript {
        self.console()
    }

    fn boots(&self) -> Result<Vec<Boot>, Error> {
        Ok(Self::boots(self).all())
    }
}

impl Tested for Bench {
    fn agent(&mut self) -> Result<Agent, Error> {
        Self::agent(self)
    }

    fn bring_up_to_date(&mut self, built: &Built) -> Result<(), Error> {
        // What had to be done about it, the boots in the report say.
        warm::bring_up_to_date(self, built, &|_| {})
    }

    fn explain(&mut self, error: Error) -> Error {
        Self::explain(self, error)
    }

    fn transcript(&self) -> &dyn Transcript {
        self
    }

    fn boots(&self) -> Result<Vec<Boot>, Error> {
        self.about().map(|about| about.boots)
    }
}
