// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of how a board is shared with others by a labgrid coordinator: a real one, at which other
//! users are played.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hil::{Bench, State, bench};
use hil_report::{Attempt, Event, Outcome, TestId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::on_board::{Run, failure_text, is_wanted_name};
use super::summary::Counts;
use crate::benches::Chosen;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::warm;

/// How long it may take until a place is free: the board is switched off before.
const FREED: Duration = Duration::from_secs(30);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// An address at which nobody listens: the discard service is no coordinator.
const NOWHERE: &str = "127.0.0.1:9";

/// What a test returns.
type Tested = Result<(), String>;

/// A test and its name.
type Test = (&'static str, fn(&Scene<'_>) -> Tested);

/// All of them.
const TESTS: [Test; 5] = [
    ("a_place_is_given_back_at_the_end", given_back_at_the_end),
    (
        "a_place_is_given_back_after_ctrl_c",
        given_back_after_ctrl_c,
    ),
    (
        "a_place_is_given_back_by_a_server_that_is_killed",
        given_back_when_killed,
    ),
    ("whoever_has_the_place_is_named", holder_is_named),
    (
        "a_coordinator_that_is_not_there_is_named",
        coordinator_is_named,
    ),
];

/// What the tests share.
struct Scene<'a> {
    run: &'a Run<'a>,
    chosen: &'a Chosen,
    progress: &'a Progress,
}

/// Runs those that are wanted.
pub(super) fn test(run: &Run<'_>, chosen: &Chosen, progress: &Progress) -> Counts {
    let scene = Scene {
        run,
        chosen,
        progress,
    };
    let mut shown = format!("\n     Running lab on this PC with {}\n", chosen.name);
    let (mut counts, mut failures) = (Counts::default(), String::new());
    for (name, test) in TESTS {
        if !is_wanted_name(name, run.filters) {
            continue;
        }
        let id = TestId {
            bench: Some(chosen.name.clone()),
            suite: "lab".to_owned(),
            name: name.to_owned(),
            place: hil_report::Place::Bench,
        };
        let (started, begun) = (SystemTime::now(), Instant::now());
        run.recorder.add(Event::TestStarted {
            id: id.clone(),
            started,
        });
        let outcome = match test(&scene) {
            Ok(()) => Outcome::Passed,
            Err(reason) => Outcome::Failed { reason },
        };
        let attempt = Attempt::new(started, begun.elapsed(), outcome);
        let passed = attempt.passed();
        let verdict = if passed { "ok" } else { "FAILED" };
        shown.push_str(&format!("test {name} ... {verdict}\n"));
        if !passed {
            failures.push_str(&failure_text(name, &attempt));
        }
        run.recorder.add(Event::TestFinished { id, attempt });
        counts = counts.plus(Counts::one(passed));
    }
    anstream::println!("{shown}{failures}\n{}", counts.line());
    counts
}

impl Scene<'_> {
    /// Takes the bench as a run does, and switches its board on.
    fn switch_on(&self, chosen: &Chosen) -> Result<Bench, Failure> {
        let Run { setup, built, .. } = self.run;
        let mut bench = warm::take(setup, built, chosen, Vec::new(), self.progress)?;
        match bench.reach(State::Booting) {
            Ok(()) => Ok(bench),
            Err(error) => {
                let failure = warm::trouble(chosen, error);
                // Nothing is on: the next one may have it as it is.
                let _ = bench.release(false);
                Err(failure)
            }
        }
    }

    /// Ends the server of a bench.
    fn stop(&self, chosen: &Chosen) -> Tested {
        let path = warm::socket_of(&self.run.setup.tools.repository, chosen);
        warm::stop(&path).map(drop).map_err(|f| f.to_string())
    }

    /// Has labgrid's client do something about the place, as this user or another.
    fn client(&self, user: Option<&str>, words: &[&str]) -> Result<String, String> {
        let description = self.chosen.description.as_ref();
        let labgrid = description.and_then(|description| description.labgrid.as_ref());
        let labgrid = labgrid.ok_or("this bench is no place of labgrid's")?;
        let mut command = Command::new(&labgrid.client);
        if let Some(place) = &labgrid.place {
            command.args(["--place", place]);
        }
        if let Some(user) = user {
            command
                .env("LG_USERNAME", user)
                .env("LG_HOSTNAME", "elsewhere");
        }
        let output = command.args(words).output().map_err(|e| e.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Who has the place: `None` if nobody has.
    fn holder(&self) -> Result<String, String> {
        let said = self.client(None, &["show"])?;
        let mut lines = said.lines().map(str::trim);
        let holder = lines.find_map(|line| line.strip_prefix("acquired: "));
        holder.map(str::to_owned).ok_or(said)
    }

    fn require_held(&self) -> Tested {
        match self.holder()?.as_str() {
            "None" => Err("the board is on, and nobody has the place".to_owned()),
            _ => Ok(()),
        }
    }

    fn require_freed(&self) -> Tested {
        let deadline = Instant::now() + FREED;
        loop {
            let holder = self.holder()?;
            if holder == "None" {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("{holder} has the place still"));
            }
            thread::sleep(LOOK);
        }
    }

    /// A failure that is the bench's, and says all of this.
    fn require_failure(failed: Result<Bench, Failure>, words: &[&str]) -> Tested {
        let Err(failure) = failed else {
            return Err("the board was switched on".to_owned());
        };
        if failure.exit() != Exit::Infrastructure {
            return Err(format!("exit code {:?}: {failure}", failure.exit()));
        }
        let said = failure.summary();
        match words.iter().find(|word| !said.contains(**word)) {
            None => Ok(()),
            Some(word) => Err(format!("{word:?} is missing in: {said}")),
        }
    }
}

fn given_back_at_the_end(scene: &Scene<'_>) -> Tested {
    let bench = scene.switch_on(scene.chosen).map_err(|f| f.to_string())?;
    scene.require_held()?;
    bench.release(false).map_err(|error| error.to_string())?;
    scene.stop(scene.chosen)?;
    // The server has ended after that, and not before.
    match scene.holder()?.as_str() {
        "None" => Ok(()),
        holder => Err(format!("{holder} has the place still")),
    }
}

/// What a server learns of a run that was interrupted is that its connection is gone.
fn given_back_after_ctrl_c(scene: &Scene<'_>) -> Tested {
    let bench = scene.switch_on(scene.chosen).map_err(|f| f.to_string())?;
    scene.require_held()?;
    drop(bench);
    scene.require_freed()
}

fn given_back_when_killed(scene: &Scene<'_>) -> Tested {
    let bench = scene.switch_on(scene.chosen).map_err(|f| f.to_string())?;
    scene.require_held()?;
    let path = warm::socket_of(&scene.run.setup.tools.repository, scene.chosen);
    let about = bench::about(&path).map_err(|error| error.to_string())?;
    let pid = i32::try_from(about.pid).map_err(|error| error.to_string())?;
    kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| error.to_string())?;
    drop(bench);
    scene.require_freed()
}

fn holder_is_named(scene: &Scene<'_>) -> Tested {
    scene.client(Some("bob"), &["acquire"])?;
    let failed = scene.switch_on(scene.chosen);
    let told = Scene::require_failure(failed, &["acquired by elsewhere/bob", "labgrid.reserve"]);
    let stopped = scene.stop(scene.chosen);
    // It was not taken from him, and is given back in any case.
    let holder = scene.holder();
    let released = scene.client(Some("bob"), &["release"]);
    told.and(stopped)?;
    let holder = holder?;
    released?;
    if holder == "elsewhere/bob" {
        Ok(())
    } else {
        Err(format!("{holder} has the place instead of bob"))
    }
}

fn coordinator_is_named(scene: &Scene<'_>) -> Tested {
    let mut elsewhere = scene.chosen.clone();
    elsewhere.name.push_str("-nowhere");
    let description = elsewhere.description.as_mut();
    if let Some(labgrid) = description.and_then(|d| d.labgrid.as_mut()) {
        labgrid.coordinator = Some(NOWHERE.to_owned());
    }
    let failed = scene.switch_on(&elsewhere);
    let words = ["Could not connect to coordinator", "LG_COORDINATOR"];
    let told = Scene::require_failure(failed, &words);
    scene.stop(&elsewhere)?;
    told
}
