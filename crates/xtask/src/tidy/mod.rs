// SPDX-License-Identifier: MIT OR Apache-2.0

//! The rules. Each is one file and one pure function from a [`Tree`] to what breaks the rule.

mod abi_names;
mod abi_pages;
mod abi_shim;
mod abi_source;
mod abi_used;
mod addresses;
mod arrows;
mod boards;
mod c_header;
mod length;
mod manifest;
mod names;
mod netlink_spec;
mod room_pages;
mod rooms;
mod spdx;
mod unsafe_code;
mod versions;

use std::fmt;

use crate::{File, Tree};

/// A rule, under the name that its findings carry.
type Rule = (&'static str, fn(&Tree) -> Vec<Fault>);

/// All rules.
const RULES: [Rule; 16] = [
    ("spdx", spdx::check),
    ("length", length::check),
    ("names", names::check),
    ("unsafe_code", unsafe_code::check),
    ("boards", boards::check),
    ("arrows", arrows::check),
    ("versions", versions::check),
    ("abi_source", abi_source::check),
    ("abi_pages", abi_pages::check),
    ("abi_shim", abi_shim::check),
    ("abi_used", abi_used::check),
    ("c_header", c_header::check),
    ("netlink_spec", netlink_spec::check),
    ("rooms", rooms::check),
    ("room_pages", room_pages::check),
    ("addresses", addresses::check),
];

/// A place that breaks a rule, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    path: String,
    line: usize,
    what: String,
}

impl Fault {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }

    /// A fault at an offset into a file.
    fn at(file: &File, offset: usize, what: impl Into<String>) -> Self {
        let line = crate::rust_source::line_of(&file.text, offset);
        Self::new(&file.path, line, what)
    }
}

/// What breaks which rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    rule: &'static str,
    fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { path, line, what } = &self.fault;
        write!(formatter, "{path}:{line}: {}: {what}", self.rule)
    }
}

/// Applies all rules; the findings are in the order of the rules, then of the places.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (rule, check) in RULES {
        let mut faults = check(tree);
        faults.sort();
        faults.dedup();
        findings.extend(faults.into_iter().map(|fault| Finding { rule, fault }));
    }
    findings
}

/// The faults of one rule as `path:line`, for its tests.
#[cfg(test)]
fn places(faults: &[Fault]) -> Vec<String> {
    let mut places: Vec<_> = faults
        .iter()
        .map(|fault| format!("{}:{}", fault.path, fault.line))
        .collect();
    places.sort();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_place_rule_and_reason() {
        let findings = check(&Tree::from([("crates/a/src/misc.rs", "fn a() {}\n")]));
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(
            lines[0].starts_with("crates/a/src/misc.rs:1: spdx: "),
            "{lines:?}"
        );
        assert!(lines.iter().any(|line| line.contains(":1: names: ")));
    }
}
