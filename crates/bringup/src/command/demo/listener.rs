// SPDX-License-Identifier: MIT OR Apache-2.0

//! Hears the tour: its report, and what the kernel said meanwhile.

use agent_wire::{Message, Stream};
use hil::Observer;

use super::report::Tour;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::kernel_health;
use crate::progress::Step;

/// Collects what the tour prints, and keeps the console in the step's log.
pub(super) struct Listener<'a> {
    step: &'a Step,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// How the tour's program ended.
    end: String,
    kernel_log: String,
}

impl<'a> Listener<'a> {
    pub(super) fn new(step: &'a Step) -> Self {
        Self {
            step,
            stdout: Vec::new(),
            stderr: Vec::new(),
            end: "it did not end".to_owned(),
            kernel_log: String::new(),
        }
    }

    /// The report.
    pub(super) fn tour(&self) -> Result<Tour> {
        serde_json::from_slice(&self.stdout)
            .or_fail(Exit::TestFailed, || {
                format!("the tour gave no report ({})", self.end)
            })
            .map_err(|failure| {
                let stderr = String::from_utf8_lossy(&self.stderr);
                let lines = stderr.lines().chain(self.kernel_log.lines());
                failure.evidence(lines.map(str::to_owned).collect::<Vec<_>>())
            })
    }

    /// Fails when the kernel complained, whatever the tour found.
    pub(super) fn kernel_health(&self, taint: u64) -> Result<()> {
        let complaints = kernel_health::complaints(&self.kernel_log);
        let what = match (complaints.first(), kernel_health::unexpected_taint(taint)) {
            (Some(first), _) => format!("the kernel complained during the tour: {first}"),
            (None, Some(taint)) => taint,
            (None, None) => return Ok(()),
        };
        let log = self.kernel_log.lines().map(str::to_owned);
        Err(Failure::new(Exit::TestFailed, what).evidence(log.collect::<Vec<_>>()))
    }
}

impl Observer for Listener<'_> {
    fn console(&mut self, line: &str) {
        self.step.line(line);
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::Output { stream, bytes, .. } => match stream {
                Stream::Stdout => self.stdout.extend_from_slice(bytes),
                Stream::Stderr => self.stderr.extend_from_slice(bytes),
            },
            Message::Ended {
                code,
                signal,
                error,
                kernel_log,
                ..
            } => {
                self.end = match (code, signal, error) {
                    (Some(code), ..) => format!("exit code {code}"),
                    (_, Some(signal), _) => format!("signal {signal}"),
                    (.., error) => error.clone().unwrap_or_default(),
                };
                self.kernel_log.clone_from(kernel_log);
            }
            _ => {}
        }
    }
}
