// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tour on the board: its report, and what the kernel said meanwhile.

use std::time::Duration;

use agent_wire::Record;
use agent_wire::message::{Ended, Program};
use agent_wire::report::Tour;
use hil::agent::Output;
use hil::{Agent, health};

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// No tour takes anywhere near this long, on however loaded a PC.
const LIMIT: Duration = Duration::from_secs(120);

/// What came of the tour.
#[derive(Debug)]
pub(super) struct Toured {
    output: Output,
    kernel_log: Vec<Record>,
    taint: u64,
}

/// Runs the tour.
pub(super) fn run(agent: &Agent, program: String) -> std::result::Result<Toured, hil::Error> {
    let before = agent.kernel_log(u64::MAX)?.next;
    let program = Program {
        command: vec![program, "tour".into(), "--json".into()],
        limit_ms: u64::try_from(LIMIT.as_millis()).ok(),
        ..Program::default()
    };
    let output = agent.start(program)?.output()?;
    let log = agent.kernel_log(before)?;
    Ok(Toured {
        output,
        kernel_log: log.records,
        taint: log.taint,
    })
}

impl Toured {
    /// The report, whose verdict the program's end must not contradict.
    pub(super) fn tour(&self) -> Result<Tour> {
        let tour: Tour = self.report()?;
        let expected = if tour.passed() { 0 } else { 1 };
        if self.output.ended.code == Some(expected) {
            return Ok(tour);
        }
        let end = end(&self.output.ended);
        let what = format!("the tour ended with {end} after its report");
        Err(Failure::new(Exit::TestFailed, what).evidence(self.kernel_lines()))
    }

    fn report(&self) -> Result<Tour> {
        let end = end(&self.output.ended);
        serde_json::from_slice(&self.output.stdout)
            .or_fail(Exit::TestFailed, || {
                format!("the tour gave no report ({end})")
            })
            .map_err(|failure| {
                let stderr = String::from_utf8_lossy(&self.output.stderr);
                let lines: Vec<_> = stderr.lines().map(str::to_owned).collect();
                failure.evidence(lines).evidence(self.kernel_lines())
            })
    }

    /// Fails when the kernel complained, whatever the tour found.
    pub(super) fn kernel_health(&self) -> Result<()> {
        let complaints = health::complaints(&self.kernel_log);
        let what = match (complaints.first(), health::unexpected_taint(self.taint)) {
            (Some(first), _) => format!("the kernel complained during the tour: {}", first.text),
            (None, Some(taint)) => taint,
            (None, None) => return Ok(()),
        };
        Err(Failure::new(Exit::TestFailed, what).evidence(self.kernel_lines()))
    }

    fn kernel_lines(&self) -> Vec<String> {
        self.kernel_log.iter().map(ToString::to_string).collect()
    }
}

/// How a program ended, in words.
fn end(ended: &Ended) -> String {
    match (ended.timed_out, ended.code, ended.signal) {
        (true, ..) => "its time up".to_owned(),
        (_, Some(code), _) => format!("exit code {code}"),
        (_, _, Some(signal)) => format!("signal {signal}"),
        _ => "no status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"engine":"software","rooms":[
        {"name":"ioctl","status":"passed","evidence":[]}]}"#;

    fn toured(code: Option<i32>, kernel_log: &str, taint: u64) -> Toured {
        let ended = Ended {
            code,
            signal: code.is_none().then_some(11),
            ..Ended::default()
        };
        Toured {
            output: Output {
                stdout: REPORT.into(),
                stderr: Vec::new(),
                ended,
            },
            kernel_log: vec![Record {
                sequence: 0,
                time_us: 0,
                level: 4,
                text: kernel_log.to_owned(),
            }],
            taint,
        }
    }

    #[test]
    fn a_report_and_a_good_end_are_a_tour() {
        let toured = toured(Some(0), "all quiet", 0x3000);
        assert_eq!(toured.tour().unwrap().rooms.len(), 1);
        assert!(toured.kernel_health().is_ok());
    }

    #[test]
    fn a_program_that_dies_after_its_report_has_failed() {
        for code in [None, Some(1), Some(101)] {
            let failure = toured(code, "", 0).tour().unwrap_err();
            assert_eq!(failure.exit(), Exit::TestFailed);
        }
    }

    #[test]
    fn a_kernel_that_complains_or_is_tainted_fails_the_demo() {
        let complaint = toured(Some(0), "WARNING: CPU: 0 PID: 1", 0x3000);
        let failure = complaint.kernel_health().unwrap_err();
        assert_eq!(failure.exit(), Exit::TestFailed);
        assert!(toured(Some(0), "", 0x3000 | 0x200).kernel_health().is_err());
    }
}
