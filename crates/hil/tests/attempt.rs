// SPDX-License-Identifier: MIT OR Apache-2.0

//! What one attempt of a test on a board came to: of the program's end, and of what the kernel said
//! meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod played;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use agent_wire::Record;
use agent_wire::message::{Ended, PROTOCOL, Program, Reply, Request, Stream};
use hil::suite::{self, Evidence, Setting};
use hil::{Listed, Place};
use hil_report::Attempt;

/// What the kernel says while the program runs, and what it is tainted with after that.
#[derive(Clone, Copy, Default)]
struct Kernel {
    says: Option<&'static str>,
    taint: u64,
}

/// An attempt of a test that passes by itself, and the program that the board was given.
fn attempted(kernel: Kernel, provokes: &[&str]) -> (Attempt, Program) {
    let ran = Arc::<Mutex<Option<Program>>>::default();
    let given = ran.clone();
    let mut played = played::play(move |_, mut lines| {
        lines.print("[    0.5] before the test\n");
        let answer = |call: &agent_wire::message::Call, reply: &dyn Fn(Reply)| {
            match &call.request {
                Request::Run(program) => {
                    *ran.lock().unwrap() = Some(program.clone());
                    reply(Reply::Started { pid: 7 });
                    let bytes = b"note: speed = 5\ntest result: ok. 1 passed; 0 failed\n".to_vec();
                    let stream = Stream::Stdout;
                    reply(Reply::Output { stream, bytes });
                    let code = Some(0);
                    reply(Reply::Ended(Ended {
                        code,
                        ..Ended::default()
                    }));
                }
                Request::KernelLog { from } => {
                    let is_over = ran.lock().unwrap().is_some();
                    let text = kernel.says.filter(|_| is_over);
                    let said = text.map(|text| Record {
                        sequence: 1,
                        time_us: 2_000_000,
                        level: 4,
                        text: text.to_owned(),
                    });
                    reply(Reply::KernelLog {
                        next: 1 + u64::from(said.is_some()),
                        records: said.into_iter().filter(|r| r.sequence >= *from).collect(),
                        lost: 0,
                        taint: if is_over { kernel.taint } else { 0 },
                        uptime_us: 3_000_000,
                    });
                }
                _ => reply(Reply::Done),
            }
            call.request != Request::PowerOff
        };
        drop(lines.serve(PROTOCOL, answer));
    })
    .unwrap();
    let agent = played.fixture.agent().unwrap();
    let console = played.fixture.console().clone();
    let mut evidence = Evidence::begin(&agent).unwrap();
    let environment = BTreeMap::from([("BRINGUP_TARGET".to_owned(), "{}".to_owned())]);
    let setting = Setting {
        agent: &agent,
        console: &console,
        program: "/run/tests",
        environment: &environment,
    };
    let test = Listed {
        name: "a_test".to_owned(),
        place: Place::Target,
        ignored: None,
        timeout_ms: 1000,
        requires: Vec::new(),
        provokes: provokes.iter().map(ToString::to_string).collect(),
    };
    let attempt = suite::attempt(&setting, &test, &mut evidence).unwrap();
    let program = given.lock().unwrap().clone().unwrap();
    (attempt.unwrap(), program)
}

const WARNING: &str = "WARNING: CPU: 0 PID: 1 at mm/slub.c:1";

#[test]
fn a_test_that_passes_on_a_quiet_kernel_has_passed() {
    let (attempt, program) = attempted(Kernel::default(), &[]);
    assert!(attempt.passed(), "{attempt:?}");
    assert_eq!(attempt.notes, [("speed".to_owned(), "5".to_owned())]);
    // What the console had said before is not its own.
    assert!(attempt.console.is_empty(), "{:?}", attempt.console);
    let words = [
        "/run/tests",
        "--exact",
        "a_test",
        "--nocapture",
        "--test-threads=1",
    ];
    assert_eq!(program.command, words);
    assert_eq!(program.environment["BRINGUP_TARGET"], "{}");
    // Its own limit, and time for its harness to tell.
    assert_eq!(program.limit_ms, Some(11_000));
}

#[test]
fn a_warning_of_the_kernel_or_a_taint_fails_it() {
    let warned = Kernel {
        says: Some(WARNING),
        taint: 1 << 9,
    };
    let (attempt, _) = attempted(warned, &[]);
    assert!(!attempt.passed(), "{attempt:?}");
    assert_eq!(attempt.kernel_log[0].text, WARNING);
    let tainted = Kernel {
        taint: 1 << 9,
        ..Kernel::default()
    };
    assert!(!attempted(tainted, &[]).0.passed());
    let harmless = Kernel {
        says: Some("usb 1-1: new device"),
        ..Kernel::default()
    };
    assert!(attempted(harmless, &[]).0.passed());
}

#[test]
fn a_warning_that_it_says_it_provokes_does_not_fail_it_and_another_does() {
    let warned = Kernel {
        says: Some(WARNING),
        taint: 1 << 9,
    };
    let (attempt, _) = attempted(warned, &["mm/slub.c"]);
    assert!(attempt.passed(), "{attempt:?}");
    assert!(
        attempt.notes.iter().any(|(name, _)| name == "provoked"),
        "{attempt:?}"
    );
    assert!(!attempted(warned, &["mm/slab.c"]).0.passed());
}
