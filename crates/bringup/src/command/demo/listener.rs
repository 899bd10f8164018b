// SPDX-License-Identifier: MIT OR Apache-2.0

//! Hears the tour: its report, and what the kernel said meanwhile.

use agent_wire::report::Tour;
use agent_wire::{Message, Stream};
use hil::Observer;

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

    /// The report, whose verdict the program's end must not contradict.
    pub(super) fn tour(&self) -> Result<Tour> {
        let tour: Tour = self.report()?;
        let expected = if tour.passed() {
            "exit code 0"
        } else {
            "exit code 1"
        };
        if self.end != expected {
            let log = self.kernel_log.lines().map(str::to_owned);
            return Err(Failure::new(
                Exit::TestFailed,
                format!("the tour ended with {} after its report", self.end),
            )
            .evidence(log.collect::<Vec<_>>()));
        }
        Ok(tour)
    }

    fn report(&self) -> Result<Tour> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"engine":"software","rooms":[
        {"name":"ioctl","status":"passed","evidence":[]}]}"#;

    fn step(folder: &std::path::Path) -> Step {
        let progress = crate::progress::Progress::new(false, folder.to_path_buf());
        progress.step("boot", "a test").unwrap()
    }

    fn heard(code: Option<i32>, kernel_log: &str, check: impl FnOnce(&Listener<'_>)) {
        let folder = tempfile::tempdir().unwrap();
        let step = step(folder.path());
        let mut listener = Listener::new(&step);
        for half in REPORT.as_bytes().chunks(REPORT.len() / 2) {
            listener.message(&Message::Output {
                program: 0,
                stream: Stream::Stdout,
                bytes: half.to_vec(),
            });
        }
        listener.message(&Message::Ended {
            program: 0,
            code,
            signal: code.is_none().then_some(11),
            error: None,
            kernel_log: kernel_log.to_owned(),
        });
        check(&listener);
    }

    #[test]
    fn a_report_and_a_good_end_are_a_tour() {
        heard(Some(0), "all quiet", |listener| {
            assert_eq!(listener.tour().unwrap().rooms.len(), 1);
            assert!(listener.kernel_health(0x3000).is_ok());
        });
    }

    #[test]
    fn a_program_that_dies_after_its_report_has_failed() {
        for code in [None, Some(1), Some(101)] {
            heard(code, "", |listener| {
                assert_eq!(listener.tour().unwrap_err().exit(), Exit::TestFailed);
            });
        }
    }

    #[test]
    fn a_kernel_that_complains_or_is_tainted_fails_the_demo() {
        heard(Some(0), "WARNING: CPU: 0 PID: 1", |listener| {
            let failure = listener.kernel_health(0x3000).unwrap_err();
            assert_eq!(failure.exit(), Exit::TestFailed);
        });
        heard(Some(0), "", |listener| {
            assert!(listener.kernel_health(0x3000 | 0x200).is_err());
        });
    }
}
