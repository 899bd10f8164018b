// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a report is told of a bench while a test on the PC drives it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod played;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use agent_wire::Record;
use agent_wire::message::{Call, PROTOCOL, Reply, Request};
use hil::server::{Settings, serve, socket};
use hil::suite::Witness;
use hil::{Bench, State, bench};
use hil_report::{Attempt, Outcome};
use played::{Played, play};

/// What the kernel has logged, since each boot: a message for each program that was run.
static RUN: AtomicU64 = AtomicU64::new(0);

fn record(sequence: u64, text: &str) -> Record {
    Record {
        sequence,
        time_us: 2_000_000 + sequence,
        level: 4,
        text: text.to_owned(),
    }
}

/// A board that says at the console which boot it is in, and complains in its second.
fn board() -> played::Result<Played> {
    play(|boot, mut lines| {
        lines.print(&format!("[    0.500000] boot {boot}\n"));
        if boot == 2 {
            lines.print("[    0.600000] Kernel panic - not syncing: on purpose\n[    0.7");
            return;
        }
        let answer = |call: &Call, reply: &dyn Fn(Reply)| {
            match &call.request {
                Request::KernelLog { from } => {
                    let next = 1 + RUN.load(Ordering::Relaxed);
                    let all = (0..next).map(|n| record(n, &format!("message {n}")));
                    reply(Reply::KernelLog {
                        records: all.filter(|r| r.sequence >= *from).collect(),
                        next,
                        lost: 0,
                        taint: u64::from(next > 2) << 9,
                        uptime_us: 3_000_000,
                    });
                }
                Request::Restore { .. } => reply(Reply::Restored {
                    done: Vec::new(),
                    left: Vec::new(),
                }),
                _ => reply(Reply::Done),
            }
            call.request != Request::PowerOff
        };
        drop(lines.serve(PROTOCOL, answer));
    })
}

/// What a test that drives a bench leaves in its report.
fn witnessed(
    (bench, path): (&mut Bench, &Path),
    provokes: &[&str],
    test: impl FnOnce(Bench),
) -> (Attempt, usize) {
    let witness = Witness::begin(bench).unwrap();
    test(Bench::borrow(path, bench.loan(), "a test", &mut |_| {}).unwrap());
    let seen = witness.end(bench).unwrap();
    let boots = seen.boots.len();
    let mut attempt = Attempt::new(SystemTime::now(), Duration::ZERO, Outcome::Passed);
    let provokes: Vec<_> = provokes.iter().map(ToString::to_string).collect();
    seen.add_to(&mut attempt, &provokes);
    (attempt, boots)
}

fn texts(lines: &[hil_report::Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn each_test_has_the_boots_the_console_and_the_kernels_words_of_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.socket");
    let listener = socket::listen(&path).unwrap();
    let settings = Settings {
        name: "desk".into(),
        key: String::new(),
        idle: Duration::from_secs(20),
    };
    let fixture = board().unwrap().fixture;
    let server = thread::spawn(move || serve(fixture, &listener, settings, Arc::default()));
    let mut bench = Bench::hold(&path, "the run", &mut |_| {}).unwrap();
    bench.reach(State::Ready).unwrap();

    // What was said before is not its own.
    let (attempt, boots) = witnessed((&mut bench, &path), &[], |test| {
        RUN.fetch_add(1, Ordering::Relaxed);
        test.release(true).unwrap();
    });
    assert!(attempt.passed() && boots == 0, "{attempt:?}");
    assert_eq!(texts(&attempt.kernel_log), ["message 1"]);
    assert!(attempt.console.is_empty(), "{:?}", attempt.console);

    // A taint that came with it fails it.
    let (attempt, _) = witnessed((&mut bench, &path), &[], |test| {
        RUN.fetch_add(1, Ordering::Relaxed);
        test.release(true).unwrap();
    });
    assert!(attempt.failed(), "{attempt:?}");
    assert!(attempt.complaints[0].contains("tainted"), "{attempt:?}");

    // A boot that panics is in the console only, and what it is meant to say fails no test.
    let reboot = |mut test: Bench| {
        RUN.store(0, Ordering::Relaxed);
        test.reach(State::Off).unwrap();
        test.agent().unwrap_err();
        test.agent().unwrap();
        test.release(true).unwrap();
    };
    let (attempt, boots) = witnessed((&mut bench, &path), &["on purpose"], reboot);
    assert!(attempt.passed() && boots == 2, "{attempt:?}");
    let panic = "Kernel panic - not syncing: on purpose";
    let console = texts(&attempt.console);
    assert_eq!(console, ["boot 2", panic, "[    0.7", "boot 3"]);
    assert_eq!(attempt.console[1].target, Some(Duration::from_millis(600)));
    assert_eq!(attempt.notes, [("provoked".to_owned(), panic.to_owned())]);
    // The whole log of the boot that it ended with.
    assert_eq!(texts(&attempt.kernel_log), ["message 0"]);

    // One who just goes leaves a board that is off: its console is known all the same.
    let (attempt, boots) = witnessed((&mut bench, &path), &[], |mut test| {
        test.reach(State::Off).unwrap();
        test.reach(State::Ready).unwrap();
    });
    assert_eq!((texts(&attempt.console), boots), (vec!["boot 4"], 1));
    assert!(attempt.kernel_log.is_empty(), "{attempt:?}");
    assert_eq!(bench.state().unwrap(), State::Off);

    bench::stop(&path).unwrap();
    server.join().unwrap().unwrap();
}
