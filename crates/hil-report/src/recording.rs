// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes the report of a run from its events.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::{Attempt, BenchRecord, Event, Outcome, Report, TestId, TestRecord};

/// What a test is told that was running when the record ended.
const UNFINISHED: &str = "the record ends while this test runs";

/// Makes the [`Report`] of a run from its events, in the run itself or from a file.
#[derive(Clone, Debug)]
pub struct Recording {
    report: Report,
    /// Where each test is in the report.
    places: HashMap<TestId, usize>,
    /// The attempts that have not ended, in the order of their begin.
    running: Vec<(TestId, SystemTime)>,
    /// The latest moment that is known of.
    latest: SystemTime,
    finished: bool,
}

impl Recording {
    /// The recording of a run that begins.
    pub fn new(started: SystemTime, notes: Vec<(String, String)>) -> Self {
        Self {
            report: Report {
                notes,
                ..Report::new(started)
            },
            places: HashMap::new(),
            running: Vec::new(),
            latest: started,
            finished: false,
        }
    }

    /// Adds what happened. A second [`Event::RunStarted`] is ignored.
    pub fn add(&mut self, event: Event) {
        match event {
            Event::RunStarted { .. } => {}
            Event::BenchReady(bench) => self.bench_ready(bench),
            Event::Boot { bench, boot } => {
                self.note_time(boot.ended());
                self.bench(&bench).boots.push(boot);
            }
            Event::TestIgnored { id, reason } => self.test(id).ignored = Some(reason),
            Event::TestStarted { id, started } => {
                self.note_time(started);
                // Takes its place now, so that the report has the order in which tests began.
                self.test(id.clone());
                self.running.push((id, started));
            }
            Event::TestFinished { id, attempt } => {
                self.note_time(attempt.ended());
                if let Some(at) = self.running.iter().position(|(running, _)| *running == id) {
                    self.running.remove(at);
                }
                self.test(id).attempts.push(attempt);
            }
            Event::Trouble(trouble) => self.report.troubles.push(trouble),
            Event::RunFinished { duration, .. } => {
                self.report.duration = duration;
                self.finished = true;
            }
        }
    }

    /// The report. If the run has not ended, the report says that it is cut off and why, and an
    /// attempt that was running is one that the bench failed.
    pub fn into_report(mut self, why_if_cut_off: &str) -> Report {
        let running = std::mem::take(&mut self.running);
        for (id, started) in running {
            let duration = self.latest.duration_since(started).unwrap_or_default();
            let reason = UNFINISHED.to_owned();
            let outcome = Outcome::Infrastructure { reason };
            let attempt = Attempt::new(started, duration, outcome);
            self.test(id).attempts.push(attempt);
        }
        if !self.finished {
            let known = self.latest.duration_since(self.report.started);
            self.report.duration = known.unwrap_or_default();
            self.report.cut_off = Some(why_if_cut_off.to_owned());
        }
        self.report
    }

    fn bench_ready(&mut self, mut bench: BenchRecord) {
        let known = self.bench(&bench.name);
        bench.boots.splice(..0, std::mem::take(&mut known.boots));
        bench.kernel = bench.kernel.or(known.kernel.take());
        *known = bench;
    }

    fn bench(&mut self, name: &str) -> &mut BenchRecord {
        let benches = &mut self.report.benches;
        let at = benches.iter().position(|bench| bench.name == name);
        let at = at.unwrap_or_else(|| {
            benches.push(BenchRecord::unknown(name));
            benches.len() - 1
        });
        &mut benches[at]
    }

    fn test(&mut self, id: TestId) -> &mut TestRecord {
        let tests = &mut self.report.tests;
        let at = *self.places.entry(id).or_insert_with_key(|id| {
            tests.push(TestRecord::new(id.clone()));
            tests.len() - 1
        });
        &mut tests[at]
    }

    /// A clock that went back says nothing about how long the run took.
    fn note_time(&mut self, moment: SystemTime) {
        self.latest = self.latest.max(moment);
    }
}

impl Report {
    /// The events of the run, as if one bench had been used after the other.
    pub fn into_events(self) -> Vec<Event> {
        let summary = self.summary();
        let mut events = vec![Event::RunStarted {
            started: self.started,
            notes: self.notes,
        }];
        for mut bench in self.benches {
            let boots = std::mem::take(&mut bench.boots);
            let name = bench.name.clone();
            events.push(Event::BenchReady(bench));
            events.extend(boots.into_iter().map(|boot| Event::Boot {
                bench: name.clone(),
                boot,
            }));
        }
        for test in self.tests {
            if let Some(reason) = test.ignored {
                let id = test.id.clone();
                events.push(Event::TestIgnored { id, reason });
            }
            for attempt in test.attempts {
                let (id, started) = (test.id.clone(), attempt.started);
                events.push(Event::TestStarted { id, started });
                let id = test.id.clone();
                events.push(Event::TestFinished { id, attempt });
            }
        }
        events.extend(self.troubles.into_iter().map(Event::Trouble));
        if self.cut_off.is_none() {
            let duration = self.duration;
            events.push(Event::RunFinished { duration, summary });
        }
        events
    }
}
