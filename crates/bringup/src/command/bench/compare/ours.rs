// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kit's own agent takes, on a board that is on.

use std::path::Path;
use std::time::{Duration, Instant};

use agent_wire::message::Program;
use hil::suite::{self, Evidence, Setting};
use hil::{Agent, Bench, Error, Listed, Place};

use super::series::Series;
use super::{COUNT, WORDS};
use crate::benches::Chosen;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::repository::Repository;
use crate::target_environment;
use crate::target_programs::TestBinary;
use crate::warm;

/// What an answer, and a test besides what its program does itself, may take.
const ROUND_TRIP: Duration = Duration::from_millis(5);
const OVERHEAD: Duration = Duration::from_millis(50);

/// A test that needs next to no time, by its suite and its name.
const TEST: (&str, &str) = ("sysfs", "an_idle_engine_is_running");

/// What it may take, milliseconds.
const LIMIT: u64 = 30_000;

/// How often it is run.
const TESTS: usize = 30;

/// Measures all of it. `shell` is the program that runs [`WORDS`].
pub(super) fn measure(
    repository: &Repository,
    chosen: &Chosen,
    bench: &mut Bench,
    shell: &Path,
    tests: &[TestBinary],
) -> Result<Vec<Series>> {
    let trouble = |error| warm::trouble(chosen, error);
    let agent = bench.agent().map_err(trouble)?;
    let pings = (0..COUNT)
        .map(|_| agent.ping())
        .collect::<std::result::Result<_, _>>();
    let pings = Series::new("agent: round trip", pings.map_err(trouble)?).limit(ROUND_TRIP);
    let commands = commands(&agent, shell).map_err(trouble)?;
    let what = format!("agent: `busybox {}`", WORDS.join(" "));
    let test = find(tests)?;
    let environment = target_environment::of(repository, chosen, Place::Target)?;
    let [whole, bare] = harness(&agent, bench, &test.path, &environment).map_err(trouble)??;
    let added = whole.iter().zip(&bare);
    let added = added
        .map(|(whole, bare)| whole.saturating_sub(*bare))
        .collect();
    Ok(vec![
        pings,
        Series::new(&what, commands),
        Series::new("a test on the warm bench, all in all", whole),
        Series::new("the same program by itself", bare),
        Series::new("overhead per test: the former less the latter", added).limit(OVERHEAD),
    ])
}

fn commands(agent: &Agent, shell: &Path) -> std::result::Result<Vec<Duration>, Error> {
    let path = agent.install(shell, &mut |_, _| {})?;
    let words: Vec<_> = std::iter::once(path.as_str()).chain(WORDS).collect();
    let mut times = Vec::new();
    for _ in 0..COUNT {
        let begun = Instant::now();
        agent.output(&words)?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

fn find(tests: &[TestBinary]) -> Result<&TestBinary> {
    let (suite, _) = TEST;
    let found = tests.iter().find(|test| test.name == suite);
    found.ok_or_else(|| Failure::new(Exit::Build, format!("there is no suite {suite}")))
}

/// A test by the harness and its program by itself, in turn: what else the PC does meanwhile is the
/// same for both.
fn harness(
    agent: &Agent,
    bench: &Bench,
    program: &Path,
    environment: &std::collections::BTreeMap<String, String>,
) -> std::result::Result<Result<[Vec<Duration>; 2]>, Error> {
    let path = agent.install(program, &mut |_, _| {})?;
    let mut evidence = Evidence::begin(agent)?;
    let setting = Setting {
        agent,
        console: bench,
        program: &path,
        environment,
    };
    let test = Listed {
        name: TEST.1.to_owned(),
        place: Place::Target,
        ignored: None,
        timeout_ms: LIMIT,
        requires: Vec::new(),
        provokes: Vec::new(),
    };
    let (mut whole, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TESTS {
        let begun = Instant::now();
        let attempt = suite::attempt(&setting, &test, &mut evidence)?;
        whole.push(begun.elapsed());
        if !attempt.is_ok_and(|attempt| attempt.passed()) {
            let what = format!("{} did not pass, so it tells nothing", TEST.1);
            return Ok(Err(Failure::new(Exit::TestFailed, what)));
        }
        let program = Program {
            command: [path.as_str(), "--exact", TEST.1, "--nocapture"]
                .into_iter()
                .chain(["--test-threads=1"])
                .map(str::to_owned)
                .collect(),
            environment: environment.clone(),
            ..Program::default()
        };
        let begun = Instant::now();
        agent.start(program)?.output()?;
        bare.push(begun.elapsed());
    }
    Ok(Ok([whole, bare]))
}
