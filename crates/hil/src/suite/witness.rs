// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is seen of a bench while a test on the PC drives it.

use hil_report::{Attempt, Line};

use super::console_lines;
use super::evidence::{Evidence, Said};
use crate::health::Judged;
use crate::server::Boot;
use crate::{Bench, Error, State};

/// Looks at a bench before a test that drives it, and after it. The bench is held meanwhile, and
/// lent to the test.
#[derive(Debug)]
pub struct Witness {
    mark: u64,
    boots: usize,
    /// Of a board that was ready before the test.
    kernel: Option<Evidence>,
}

/// What was seen of a bench while a test drove it.
#[derive(Debug)]
pub struct Seen {
    /// The boots meanwhile.
    pub boots: Vec<Boot>,
    console: Vec<Line>,
    /// What the kernel said that runs now. One that was lost has said the rest at the console only.
    kernel: Option<Said>,
}

impl Witness {
    /// Looks before the test. A board that is off stays off.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn begin(bench: &mut Bench) -> Result<Self, Error> {
        let kernel = match bench.state()? {
            // A board that has been lost, the test will find.
            State::Ready => bench.agent().and_then(|agent| Evidence::begin(&agent)).ok(),
            State::Off | State::Booting => None,
        };
        Ok(Self {
            mark: bench.mark()?,
            boots: bench.about()?.boots.len(),
            kernel,
        })
    }

    /// Looks after the test.
    ///
    /// # Errors
    ///
    /// When the server has gone.
    pub fn end(self, bench: &mut Bench) -> Result<Seen, Error> {
        bench.settle()?;
        let is_ready = bench.state()? == State::Ready;
        let boots = bench.about()?.boots.split_off(self.boots);
        let mut since = match self.kernel {
            Some(evidence) if boots.is_empty() => evidence,
            _ => Evidence::POWER_ON,
        };
        let kernel = is_ready
            .then(|| bench.agent().and_then(|agent| since.take(&agent)).ok())
            .flatten();
        Ok(Seen {
            boots,
            console: console_lines(bench, self.mark),
            kernel,
        })
    }
}

impl Seen {
    /// Adds what was seen to an attempt. Complaints of the kernel fail it, except for those that
    /// contain one of the texts of `provokes`.
    pub fn add_to(self, attempt: &mut Attempt, provokes: &[String]) {
        let (log, taint) = match self.kernel {
            Some(said) => (said.lines, said.taint),
            None => (Vec::new(), 0),
        };
        let mut texts: Vec<_> = log.iter().map(|line| line.text.as_str()).collect();
        let is_new = |line: &&Line| !log.iter().any(|logged| logged.text == line.text);
        texts.extend(self.console.iter().filter(is_new).map(|l| l.text.as_str()));
        let judged = Judged::of(&texts, taint, provokes);
        attempt.notes.extend(judged.notes());
        attempt.complaints = judged.complaints;
        attempt.console = self.console;
        attempt.kernel_log = log;
    }
}
