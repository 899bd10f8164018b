// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a kernel says, and is tainted with, counts for the test that runs meanwhile and for no
//! other.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod played;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use agent_wire::Record;
use agent_wire::message::{Call, Ended, PROTOCOL, Reply, Request, Stream};
use hil::suite::{self, Evidence, Setting};
use hil::{Agent, Fixture, Listed, Place};
use hil_report::Attempt;

const WARNING: &str = "WARNING: CPU: 0 PID: 1 at mm/slub.c:1";

/// What a warning taints with, and what an illegal processor does.
const WARNED: u64 = 1 << 9;
const OTHER: u64 = 1 << 2;

/// When the kernel says all this, by its clock.
const SAID_AT: Duration = Duration::from_secs(2);

/// How long the kernel has run when its agent is called first, as [`played::welcome`] says.
const UPTIME: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Kernel {
    log: Vec<&'static str>,
    taint: u64,
    /// What each test makes it say, and what it is tainted with then.
    script: VecDeque<(Option<&'static str>, u64)>,
}

impl Kernel {
    fn answer(&mut self, request: &Request) -> Vec<Reply> {
        match request {
            Request::Run(_) => {
                let (says, taint) = self.script.pop_front().unwrap_or_default();
                self.log.extend(says);
                self.taint = taint;
                let bytes = b"test result: ok. 1 passed; 0 failed\n".to_vec();
                let ended = Ended {
                    code: Some(0),
                    ..Ended::default()
                };
                let stream = Stream::Stdout;
                vec![
                    Reply::Started { pid: 7 },
                    Reply::Output { stream, bytes },
                    Reply::Ended(ended),
                ]
            }
            Request::KernelLog { from } => {
                let time_us = u64::try_from(SAID_AT.as_micros()).unwrap();
                let records = self.log.iter().zip(0..).map(|(text, sequence)| Record {
                    sequence,
                    time_us,
                    level: 4,
                    text: (*text).to_owned(),
                });
                vec![Reply::KernelLog {
                    next: u64::try_from(self.log.len()).unwrap(),
                    records: records.filter(|r| r.sequence >= *from).collect(),
                    lost: 0,
                    taint: self.taint,
                    uptime_us: 6_000_000,
                }]
            }
            _ => vec![Reply::Done],
        }
    }
}

/// A board whose kernel has said this before the first test.
fn board(
    before: (&'static str, u64),
    script: impl IntoIterator<Item = (Option<&'static str>, u64)>,
) -> (Fixture, Agent) {
    let kernel = Mutex::new(Kernel {
        log: vec![before.0],
        taint: before.1,
        script: script.into_iter().collect(),
    });
    let played = played::play(move |_, lines| {
        let answer = |call: &Call, reply: &dyn Fn(Reply)| {
            let replies = kernel.lock().unwrap().answer(&call.request);
            replies.into_iter().for_each(reply);
            call.request != Request::PowerOff
        };
        drop(lines.serve(PROTOCOL, answer));
    });
    let mut fixture = played.unwrap().fixture;
    let agent = fixture.agent().unwrap();
    (fixture, agent)
}

fn attempt(fixture: &Fixture, agent: &Agent, evidence: &mut Evidence) -> Attempt {
    let console = fixture.console().clone();
    let setting = Setting {
        agent,
        console: &console,
        program: "/run/tests",
        environment: &BTreeMap::new(),
    };
    let test = Listed {
        name: "a_test".to_owned(),
        place: Place::Target,
        ignored: None,
        timeout_ms: 1000,
        requires: Vec::new(),
        provokes: Vec::new(),
    };
    let attempt = suite::attempt(&setting, &test, evidence).unwrap();
    attempt.unwrap()
}

fn said(attempt: &Attempt) -> Vec<&str> {
    let lines = attempt.kernel_log.iter();
    lines.map(|line| line.text.as_str()).collect()
}

#[test]
fn what_was_before_the_first_test_is_not_its_own() {
    let (fixture, agent) = board((WARNING, WARNED), [(None, WARNED), (None, WARNED | OTHER)]);
    let mut evidence = Evidence::begin(&agent).unwrap();
    let first = attempt(&fixture, &agent, &mut evidence);
    assert!(first.passed() && said(&first).is_empty(), "{first:?}");
    let second = attempt(&fixture, &agent, &mut evidence);
    assert!(!second.passed() && said(&second).is_empty(), "{second:?}");
    let blamed = &second.complaints[0];
    assert!(blamed.contains("tainted by 0x4 "), "{blamed}");
}

#[test]
fn what_one_test_did_is_not_held_against_the_next() {
    let harmless = "usb 1-1: new device";
    let script = [
        (Some(WARNING), WARNED),
        (Some(harmless), WARNED),
        // Could not be read, and can be again.
        (None, 0),
        (None, WARNED),
    ];
    let (fixture, agent) = board(("Booting Linux", 0), script);
    let mut evidence = Evidence::begin(&agent).unwrap();
    let first = attempt(&fixture, &agent, &mut evidence);
    assert!(!first.passed(), "{first:?}");
    assert_eq!(said(&first), [WARNING]);
    let second = attempt(&fixture, &agent, &mut evidence);
    assert!(second.passed(), "{second:?}");
    assert_eq!(said(&second), [harmless]);
    for _ in 0..2 {
        let quiet = attempt(&fixture, &agent, &mut evidence);
        assert!(quiet.passed() && said(&quiet).is_empty(), "{quiet:?}");
    }
}

#[test]
fn what_the_kernel_says_has_the_time_of_both_clocks() {
    let before = SystemTime::now();
    let (fixture, agent) = board(("Booting Linux", 0), [(Some("x"), 0)]);
    let after = SystemTime::now();
    let mut evidence = Evidence::begin(&agent).unwrap();
    let attempt = attempt(&fixture, &agent, &mut evidence);
    let line = &attempt.kernel_log[0];
    assert_eq!(line.target, Some(SAID_AT));
    let ago = UPTIME - SAID_AT;
    // Two clocks of this PC are read one after the other.
    let slack = Duration::from_secs(1);
    let possible = before - ago - slack..=after - ago + slack;
    assert!(possible.contains(&line.host), "{:?}", line.host);
}
