// SPDX-License-Identifier: MIT OR Apache-2.0

//! `doctor`: what this board has and lacks. It changes nothing: what it tries leaves no trace.

mod buses;
mod driver;
mod finding;
mod kernel;
mod mounts;
mod options;
mod rooms;
mod system;
mod user;
mod visits;

use std::process::ExitCode;

use serde::Serialize;

use self::finding::{Finding, State};
use self::options::Options;
use self::system::System;
use self::user::User;
use crate::{exit, output};

#[derive(Serialize)]
struct Document {
    ok: bool,
    findings: Vec<Finding>,
}

/// Shows all that was found, and ends with a failure if something must be done first.
pub(crate) fn run(json: bool) -> ExitCode {
    let document = Document::new(look(&System::new("/")));
    let printed = output::print(json, &document, || document.text());
    exit::end(json, printed.map(|()| document.ok))
}

fn look(system: &System) -> Vec<Finding> {
    let user = User::read(system);
    let options = Options::read(system);
    let mut findings = kernel::look(system, &options);
    findings.extend(mounts::look(system));
    findings.push(user.look());
    findings.extend(visits::look(system));
    findings.extend(driver::look(system, &user));
    findings.extend(rooms::look(system, &options, &user));
    findings.extend(buses::look(system));
    findings
}

impl Document {
    fn new(findings: Vec<Finding>) -> Self {
        let mut states = findings.iter().map(Finding::state);
        let ok = states.all(|state| state != State::Problem);
        Self { ok, findings }
    }

    fn text(&self) -> String {
        self.findings.iter().map(Finding::text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_problem_makes_a_board_unfit() {
        let finding = |state| Finding::new("bus", "i2c", state, "why");
        let document = |state| Document::new(vec![finding(State::Ok), finding(state)]);
        for state in [State::Ok, State::Absent, State::Unknown] {
            assert!(document(state).ok, "{state:?}");
        }
        assert!(!document(State::Problem).ok);
    }

    #[test]
    fn this_pc_can_be_looked_at_whatever_it_is() {
        let findings = look(&System::new("/"));
        let rooms = findings.iter().filter(|finding| finding.area() == "room");
        assert!(rooms.count() >= kernel_channels::ROOMS.len());
    }
}
