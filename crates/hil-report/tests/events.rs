// SPDX-License-Identifier: MIT OR Apache-2.0

//! A run survives being written as JSON lines and read again, whole or in part.

#[path = "../examples/sample/mod.rs"]
mod sample;

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hil_report::{
    Attempt, BenchRecord, Boot, Error, Event, EventWriter, Outcome, Place, Recording, Report,
    TestId, Verdict, read_events,
};

fn written(events: &[Event]) -> Vec<u8> {
    let mut writer = EventWriter::new(Vec::new());
    let all = events.iter().try_for_each(|event| writer.write(event));
    assert!(all.is_ok(), "{all:?}");
    writer.into_inner()
}

fn read(bytes: &[u8]) -> Result<Report, Error> {
    read_events(bytes)
}

fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}

fn id(name: &str) -> TestId {
    TestId {
        bench: Some("one".to_owned()),
        suite: "suite".to_owned(),
        name: name.to_owned(),
        place: Place::Target,
    }
}

fn begin() -> Event {
    Event::RunStarted {
        started: at(0),
        notes: Vec::new(),
    }
}

fn finished(name: &str, from: u64) -> Event {
    let took = Duration::from_millis(5);
    let mut attempt = Attempt::new(at(from), took, Outcome::Passed);
    attempt.output = "ä\u{1b}[0m\0\n".to_owned();
    let id = id(name);
    Event::TestFinished { id, attempt }
}

#[test]
fn a_report_survives_its_events() {
    let report = sample::report();
    let bytes = written(&report.clone().into_events());
    assert!(read(&bytes).unwrap() == report);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("{\"schema\":1,\"event\":\"run-started\","));
    assert_eq!(text.matches("\"schema\"").count(), 1);
    let last = text.lines().last().unwrap();
    assert!(
        last.contains("\"event\":\"run-finished\"") && last.contains("\"flaky\":1"),
        "{last}"
    );
}

#[test]
fn a_report_survives_serde() {
    let report = sample::report();
    let text = serde_json::to_string(&report).unwrap();
    assert!(serde_json::from_str::<Report>(&text).unwrap() == report);
}

#[test]
fn a_record_can_be_cut_anywhere() {
    let events = [
        begin(),
        finished("first", 10),
        Event::TestStarted {
            id: id("second"),
            started: at(20),
        },
        finished("third", 30),
    ];
    let bytes = written(&events);
    let ends: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    for cut in 0..=bytes.len() {
        let report = read(&bytes[..cut]);
        // A line whose end alone is missing is whole.
        let events = ends.iter().filter(|end| cut >= **end).count();
        if events == 0 {
            assert!(
                matches!(report, Err(Error::NoSchema | Error::NotAnEvent { .. })),
                "{cut}"
            );
            continue;
        }
        let report = report.unwrap();
        let why = report.cut_off.as_deref().unwrap();
        let torn = cut > ends[events - 1] + 1;
        let expected = if torn {
            "the record ends in the middle of an event"
        } else {
            "the record ends before the run does"
        };
        assert_eq!(why, expected, "{cut}");
        assert_eq!(report.tests.len(), events - 1, "{cut}");
        let latest = [0, 15, 20, 35][events - 1];
        assert_eq!(report.duration, Duration::from_millis(latest));
        if let Some(second) = report.tests.get(1) {
            assert_eq!(second.verdict(), Verdict::Infrastructure);
            assert_eq!(
                second.attempts[0].duration,
                Duration::from_millis(latest - 20)
            );
        }
        assert_eq!(report.exit().code(), 4);
    }
}

#[test]
fn what_is_no_record_is_refused() {
    let first = String::from_utf8(written(&[begin()])).unwrap();
    let refusal = |text: String| read(text.as_bytes()).unwrap_err().to_string();
    for (text, expected) in [
        (
            String::new(),
            "the first line does not tell a schema, so this is no record of a run",
        ),
        (
            "{\"event\":\"boot\"}\n".to_owned(),
            "the first line does not tell a schema, so this is no record of a run",
        ),
        (
            first.replace(":1,", ":2,"),
            "the record has schema 2, and only schema 1 is known",
        ),
        (first.clone() + "nonsense\n{}\n", "line 2 is not an event"),
        (
            first.clone() + "{\"event\":\"boot\"}\n",
            "line 2 is not an event",
        ),
        (
            first.clone() + &first,
            "line 2: a record holds one run, and begins with run-started",
        ),
        (
            "{\"schema\":1,\"event\":\"test-ignored\",\"suite\":\"a\",\"name\":\"b\",\
             \"place\":\"pc\",\"reason\":\"c\"}\n"
                .to_owned(),
            "line 1: a record holds one run, and begins with run-started",
        ),
        (
            first.clone() + "{\"event\":\"run-finished\",\"duration\":-1}\n",
            "line 2 is not an event",
        ),
    ] {
        assert_eq!(refusal(text.clone()), expected, "{text}");
    }
}

#[test]
fn news_in_a_record_are_passed_over() {
    let first = String::from_utf8(written(&[begin()])).unwrap();
    let first = first.replace("}\n", ",\"weather\":\"fine\"}\n");
    let text = first + "{\"event\":\"bench-repainted\",\"colour\":3}\n";
    assert!(read(text.as_bytes()).unwrap().tests.is_empty());
}

#[test]
fn parallel_benches_and_retries_find_their_tests() {
    let started = |name: &str, from| Event::TestStarted {
        id: id(name),
        started: at(from),
    };
    let boot = |from: u64| Event::Boot {
        bench: "one".to_owned(),
        boot: Boot {
            started: at(from),
            duration: Duration::from_millis(1),
            why: "the run began".to_owned(),
        },
    };
    let ready = |kernel: Option<&str>| {
        Event::BenchReady(BenchRecord {
            name: "one".to_owned(),
            board: "board".to_owned(),
            title: "Board".to_owned(),
            kind: "qemu".to_owned(),
            kernel: kernel.map(str::to_owned),
            boots: Vec::new(),
        })
    };
    let mut recording = Recording::new(at(0), Vec::new());
    for event in [
        boot(1),
        ready(Some("7.3")),
        started("a", 5),
        started("b", 6),
        finished("b", 6),
        finished("a", 5),
        boot(20),
        ready(None),
        started("a", 30),
        finished("a", 30),
    ] {
        recording.add(event);
    }
    let report = recording.into_report("it is not over");
    let names: Vec<_> = report
        .tests
        .iter()
        .map(|test| test.id.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(report.tests[0].retries(), 1);
    assert_eq!(
        (report.benches.len(), report.benches[0].boots.len()),
        (1, 2)
    );
    assert_eq!(report.benches[0].title, "Board");
    assert_eq!(report.benches[0].kernel.as_deref(), Some("7.3"));
    assert_eq!(report.cut_off.as_deref(), Some("it is not over"));
    assert_eq!(report.summary().benches[0].counts.passed, 2);
}

/// Counts what is written and flushed, and is full at some time.
#[derive(Default)]
struct Disk {
    calls: Vec<usize>,
    flushed: usize,
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.calls.len() == self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.calls.push(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed += 1;
        Ok(())
    }
}

#[test]
fn each_event_is_one_write_and_flushed() {
    let mut writer = EventWriter::new(Disk {
        room: 2,
        ..Disk::default()
    });
    writer.write(&begin()).unwrap();
    writer.write(&finished("a", 1)).unwrap();
    let error = writer.write(&finished("b", 1)).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the event test-finished");
    let disk = writer.into_inner();
    assert_eq!((disk.calls.len(), disk.flushed), (2, 2));
}

#[test]
fn a_record_begins_with_its_begin() {
    let mut writer = EventWriter::new(Vec::new());
    assert!(writer.write(&finished("a", 1)).is_err());
    writer.write(&begin()).unwrap();
    assert!(writer.write(&begin()).is_err());
    assert_eq!(read(&writer.into_inner()).unwrap().tests, []);
}
