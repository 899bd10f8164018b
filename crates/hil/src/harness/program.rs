// SPDX-License-Identifier: MIT OR Apache-2.0

//! The whole `main` of a test program.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Trial};

use super::attempt::keep_panics;
use super::case::{TESTS, Test};
use super::outcome::chain;
use super::standing::Standing;
use super::{Listed, TargetDescription, trial};

/// The exit code of a program that cannot even begin.
const REFUSED: u8 = 2;

/// Lists or runs the tests of this program.
///
/// The arguments are those of the built-in harness. Without `--test-threads`, tests run one after
/// the other: there is one board.
#[doc(hidden)]
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> ExitCode {
    let mut arguments = Arguments::from_iter(arguments);
    arguments.test_threads.get_or_insert(1);
    list_or_run(&arguments, variable).unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "error: {error}");
        ExitCode::from(REFUSED)
    })
}

fn list_or_run(
    arguments: &Arguments,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<ExitCode, String> {
    let target = variable(TargetDescription::VARIABLE);
    let target = target.map(|text| description(&text)).transpose()?;
    let target = target.map(Arc::new);
    let mut tests: Vec<_> = TESTS.iter().collect();
    tests.sort_by_key(|test| test.name());
    let tests = tests.into_iter().map(|test| {
        let standing = Standing::of(test, target.as_deref());
        let listed = Listed::new(test, &standing);
        (listed, trial(arguments, test, standing, target.clone()))
    });
    let (listed, trials): (Vec<_>, Vec<_>) = tests.unzip();

    // Who asks for a format of the built-in harness gets it: nextest, for one.
    let asked = arguments.list && arguments.format.is_none() && !arguments.quiet;
    let form = variable(Listed::VARIABLE).filter(|_| asked);
    match form {
        Some(form) if form == Listed::JSON => {
            let chosen = |(_, trial): &(_, &Trial)| !arguments.is_filtered_out(trial);
            let chosen = listed.iter().zip(&trials).filter(chosen);
            list(chosen.map(|(listed, _)| listed))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(form) => {
            let (name, json) = (Listed::VARIABLE, Listed::JSON);
            Err(format!("{name} is {}, not {json}", form.to_string_lossy()))
        }
        None => {
            keep_panics();
            Ok(libtest_mimic::run(arguments, trials).exit_code())
        }
    }
}

fn description(text: &OsString) -> Result<TargetDescription, String> {
    serde_json::from_slice(text.as_encoded_bytes()).map_err(|error| {
        let name = TargetDescription::VARIABLE;
        format!("{name} describes no target: {}", chain(&error))
    })
}

fn trial(
    arguments: &Arguments,
    test: &'static Test,
    standing: Standing,
    target: Option<Arc<TargetDescription>>,
) -> Trial {
    let on_demand = arguments.ignored || arguments.include_ignored;
    // A test that has this flag is not even asked why it is ignored. So it only has it where the
    // flag decides which tests there are.
    let flagged = on_demand && standing.reason().is_some();
    let trial = Trial::ignorable_test(test.name(), move || match standing {
        Standing::Wrong(what) => Err(what.into()),
        Standing::Ignored(reason) if !on_demand && reason.is_empty() => Ok(Completion::ignored()),
        Standing::Ignored(reason) if !on_demand => Ok(Completion::ignored_with(reason)),
        Standing::Impossible(reason) => Ok(Completion::ignored_with(reason)),
        Standing::Ignored(_) | Standing::Runs => match trial::run(test, target) {
            Ok(()) => Ok(Completion::Completed),
            Err(failures) => Err(failures.into()),
        },
    });
    trial.with_ignored_flag(flagged)
}

/// Lists tests for other programs.
fn list<'a>(tests: impl Iterator<Item = &'a Listed>) -> Result<(), String> {
    let mut output = std::io::stdout().lock();
    for test in tests {
        let line = serde_json::to_string(test).map_err(|error| error.to_string())?;
        writeln!(output, "{line}").map_err(|error| format!("standard output: {error}"))?;
    }
    Ok(())
}
