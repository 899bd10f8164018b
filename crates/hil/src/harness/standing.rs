// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether a test can run here.

use super::case::Test;
use super::{Place, TargetDescription};

/// What is said of tests where there is no board.
const NO_BOARD: &str = "needs a board: `cargo bringup test`, or `cargo test` with the runner";

/// Whether a test can run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It can.
    Runs,
    /// It can, but only does so on demand. The reason may be empty.
    Ignored(String),
    /// It cannot, demand or not, for this reason.
    Impossible(String),
    /// It asks for what no board can have, which fails it.
    Wrong(String),
}

impl Standing {
    pub(super) fn of(test: &Test, target: Option<&TargetDescription>) -> Self {
        let place = test.place();
        let Some(target) = target else {
            return if place == Place::Anywhere && test.requires.is_empty() {
                Self::on_demand(test)
            } else {
                Self::Impossible(NO_BOARD.to_owned())
            };
        };
        let mut missing = Vec::new();
        for &name in test.requires {
            match target.has(name) {
                Ok(true) => {}
                Ok(false) => missing.push(named(name, target)),
                Err(unknown) => return Self::Wrong(unknown.to_string()),
            }
        }
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            return Self::Impossible(format!("{} lacks {missing}", target.board));
        }
        match (place, target.place) {
            (Place::Target, Some(Place::Bench)) => Self::Impossible("runs on the board".to_owned()),
            (Place::Bench, Some(Place::Target)) => Self::Impossible("runs on the PC".to_owned()),
            _ => Self::on_demand(test),
        }
    }

    fn on_demand(test: &Test) -> Self {
        match test.ignore {
            Some(reason) => Self::Ignored(reason.to_owned()),
            None => Self::Runs,
        }
    }

    /// Why a test is ignored, if it is.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Runs | Self::Wrong(_) => None,
            Self::Ignored(reason) | Self::Impossible(reason) => Some(reason),
        }
    }
}

/// A capability and what it means.
fn named(capability: &str, target: &TargetDescription) -> String {
    match target.known.get(capability) {
        Some(meaning) if !meaning.is_empty() => format!("`{capability}` ({meaning})"),
        _ => format!("`{capability}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::case::{Body, Case};

    const ON_TARGET: Body = Body::Target(Case {
        setup: None,
        body: |_| Ok(()),
        teardown: None,
    });
    const ANYWHERE: Body = Body::Anywhere(Case {
        setup: None,
        body: |_| Ok(()),
        teardown: None,
    });

    fn test(body: Body, requires: &'static [&'static str]) -> Test {
        Test {
            module: "a",
            function: "b",
            body,
            requires,
            provokes: &[],
            timeout_ms: 1,
            should_panic: None,
            ignore: None,
        }
    }

    fn target(place: Option<Place>) -> TargetDescription {
        let known = [("pci", "a PCI bus"), ("gpio", ""), ("can", "a CAN bus")];
        TargetDescription {
            board: "board".into(),
            place,
            capabilities: ["can".to_owned()].into(),
            known: known.map(|(name, what)| (name.into(), what.into())).into(),
            ..TargetDescription::default()
        }
    }

    fn impossible(reason: &str) -> Standing {
        Standing::Impossible(reason.to_owned())
    }

    #[test]
    fn without_a_board_only_tests_that_need_none_run() {
        let standing = |test| Standing::of(&test, None);
        assert_eq!(standing(test(ANYWHERE, &[])), Standing::Runs);
        assert_eq!(standing(test(ON_TARGET, &[])), impossible(NO_BOARD));
        assert_eq!(standing(test(ANYWHERE, &["pci"])), impossible(NO_BOARD));
    }

    #[test]
    fn what_the_board_lacks_is_told_with_what_it_means() {
        let standing = |requires| Standing::of(&test(ON_TARGET, requires), Some(&target(None)));
        assert_eq!(standing(&["can"]), Standing::Runs);
        let expected = impossible("board lacks `pci` (a PCI bus) and `gpio`");
        assert_eq!(standing(&["pci", "can", "gpio"]), expected);
    }

    #[test]
    fn what_nobody_knows_is_wrong_wherever_the_test_belongs() {
        for place in [None, Some(Place::Target), Some(Place::Bench)] {
            let wrong = test(ON_TARGET, &["gpio", "pcie"]);
            let standing = Standing::of(&wrong, Some(&target(place)));
            let expected = "no such capability as `pcie`; near ones: `pci`";
            assert_eq!(standing, Standing::Wrong(expected.to_owned()));
        }
    }

    #[test]
    fn a_test_runs_in_its_place_only() {
        let standing = |place| Standing::of(&test(ON_TARGET, &[]), Some(&target(place)));
        assert_eq!(standing(None), Standing::Runs);
        assert_eq!(standing(Some(Place::Target)), Standing::Runs);
        let elsewhere = standing(Some(Place::Bench));
        assert_eq!(elsewhere, impossible("runs on the board"));
        let anywhere = test(ANYWHERE, &["can"]);
        let anywhere = Standing::of(&anywhere, Some(&target(Some(Place::Bench))));
        assert_eq!(anywhere, Standing::Runs);
    }

    #[test]
    fn on_demand_is_told_only_of_what_could_run() {
        let ignored = |requires| Test {
            ignore: Some("slow"),
            ..test(ON_TARGET, requires)
        };
        let standing = |requires| Standing::of(&ignored(requires), Some(&target(None)));
        assert_eq!(standing(&[]), Standing::Ignored("slow".into()));
        assert_eq!(standing(&["gpio"]), impossible("board lacks `gpio`"));
    }
}
