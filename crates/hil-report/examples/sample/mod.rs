// SPDX-License-Identifier: MIT OR Apache-2.0

//! A run with every verdict, as it might have happened.

mod clock;
mod evidence;

use std::time::Duration;

use hil_report::{
    BenchRecord, Boot, Outcome, Place, Report, TestId, TestRecord, Trouble, TroubleKind,
};

use self::clock::Clock;
use self::evidence::evidence;

const SUITES: [(&str, Place, &[&str]); 5] = [
    (
        "chardev",
        Place::Target,
        &[
            "bytes_come_back_unchanged",
            "poll_wakes_up_when_the_ring_has_room",
            "a_read_of_nothing_returns_at_once",
            "two_openers_do_not_see_each_other",
        ],
    ),
    (
        "gpio",
        Place::Target,
        &[
            "edge_event_reaches_user_space",
            "bias_is_applied",
            "a_line_has_one_consumer",
        ],
    ),
    (
        "ioctl",
        Place::Target,
        &[
            "unknown_ioctl_returns_enotty",
            "reserved_fields_must_be_zero",
            "a_copy_is_counted",
        ],
    ),
    (
        "mmap",
        Place::Target,
        &["the_mapping_outlives_the_descriptor", "offsets_are_checked"],
    ),
    (
        "power",
        Place::Bench,
        &[
            "module_survives_a_power_cut",
            "the_watchdog_resets_a_board_that_hangs",
        ],
    ),
];

/// A run with every verdict.
pub(crate) fn report() -> Report {
    let mut clock = Clock::new();
    let mut report = Report::new(clock.now());
    let note = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    report.notes = vec![
        note(
            "command",
            "cargo bringup test --board emulated --board falcon --board heron",
        ),
        note("revision", "4f1c2ab with changes"),
    ];
    let benches = [
        ("emulated", "qemu", "Emulated arm64", 6_100),
        ("falcon", "serial", "Falcon One, revision B", 21_400),
        ("heron", "labgrid", "Heron SBC", 17_900),
    ];
    for (name, kind, title, boot) in benches {
        clock.rewind();
        let mut bench = BenchRecord {
            name: name.to_owned(),
            board: name.to_owned() + "-sbc",
            title: title.to_owned(),
            kind: kind.to_owned(),
            kernel: Some("7.3.4+deb13-arm64".to_owned()),
            boots: vec![self::boot(&mut clock, boot, "the run began")],
        };
        for (suite, place, tests) in SUITES {
            for test in tests {
                let id = TestId {
                    bench: Some(name.to_owned()),
                    suite: suite.to_owned(),
                    name: (*test).to_owned(),
                    place,
                };
                if name == "emulated" && suite == "power" && test.contains("watchdog") {
                    continue;
                }
                report.tests.push(self::test(id, &mut clock, &mut bench));
            }
        }
        report.benches.push(bench);
    }
    clock.rewind();
    for name in [
        "boards_are_data",
        "frames_survive_noise",
        "locks_are_released",
    ] {
        let id = TestId {
            bench: None,
            suite: "bringup".to_owned(),
            name: name.to_owned(),
            place: Place::Pc,
        };
        let mut record = TestRecord::new(id);
        record.attempts.push(clock.attempt(700, Outcome::Passed));
        report.tests.push(record);
    }
    report.troubles = troubles();
    report.duration = clock.longest();
    report
}

fn test(id: TestId, clock: &mut Clock, bench: &mut BenchRecord) -> TestRecord {
    let mut record = TestRecord::new(id);
    let name = record.id.name.as_str();
    let limit = Duration::from_secs(10);
    let outcomes = match (bench.name.as_str(), name) {
        ("emulated", "edge_event_reaches_user_space" | "bias_is_applied") => {
            let lacks = "the board has no loop between two GPIO lines";
            record.ignored = Some(lacks.to_owned());
            return record;
        }
        ("falcon", "a_copy_is_counted") => vec![Outcome::Failed {
            reason: "assertion `left == right` failed: transfers counted\n  left: 3\n right: 4"
                .to_owned(),
        }],
        ("falcon", "poll_wakes_up_when_the_ring_has_room") => {
            vec![Outcome::TimedOut { limit }, Outcome::TimedOut { limit }]
        }
        ("heron", "the_mapping_outlives_the_descriptor") => vec![Outcome::Crashed {
            signal: Some(7),
            reason: "SIGBUS while reading the mapping".to_owned(),
        }],
        ("heron", "edge_event_reaches_user_space") => vec![
            Outcome::Failed {
                reason: "no edge within 100 ms".to_owned(),
            },
            Outcome::Passed,
        ],
        ("heron", "module_survives_a_power_cut") => vec![
            Outcome::Infrastructure {
                reason: "the place heron-2 was released by somebody else".to_owned(),
            };
            2
        ],
        _ => vec![Outcome::Passed],
    };
    for outcome in outcomes {
        let late = matches!(outcome, Outcome::TimedOut { .. });
        let took = if late { 10_020 } else { clock.dice(900) + 12 };
        let mut attempt = clock.attempt(took, outcome);
        evidence(&mut attempt, &record.id, clock);
        record.attempts.push(attempt);
        if late || record.id.place == Place::Bench {
            let why = if late {
                "a test hung"
            } else {
                "a test cut the power"
            };
            bench.boots.push(boot(clock, 9_000, why));
        }
    }
    record
}

fn boot(clock: &mut Clock, milliseconds: u64, why: &str) -> Boot {
    let (started, duration) = clock.spend(milliseconds);
    Boot {
        started,
        duration,
        why: why.to_owned(),
    }
}

fn troubles() -> Vec<Trouble> {
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    vec![Trouble {
        kind: TroubleKind::Infrastructure,
        what: "the console was gone for 2.1 s and came back".to_owned(),
        bench: Some("falcon".to_owned()),
        detail: lines("ttyUSB0: device disconnected\nttyUSB0: cp210x converter attached"),
    }]
}

/// Adds about so many tests on each bench that all passed, to see how a large run looks.
#[allow(dead_code, reason = "not every program that shares this needs it")]
pub(crate) fn add_many(report: &mut Report, count: usize) {
    let mut clock = Clock::new();
    let first = report.duration;
    for bench in report.benches.clone() {
        clock.rewind();
        clock.skip(first);
        for index in 0..count {
            let id = TestId {
                bench: Some(bench.name.clone()),
                suite: format!("generated-{:02}", index / 50),
                name: format!("case_{:02}_of_the_sweep_is_copied", index % 50),
                place: Place::Target,
            };
            let mut record = TestRecord::new(id);
            let took = clock.dice(40) + 3;
            let mut attempt = clock.attempt(took, Outcome::Passed);
            evidence(&mut attempt, &record.id, &clock);
            record.attempts.push(attempt);
            report.tests.push(record);
        }
    }
    report.duration = clock.longest();
}
