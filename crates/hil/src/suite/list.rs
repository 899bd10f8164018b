// SPDX-License-Identifier: MIT OR Apache-2.0

//! Asks a program which tests it has.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{Error, Listed, Place};

/// How long a test may run whose program does not say.
const LIMIT: Duration = Duration::from_secs(60);

/// What a program prints when it is run with these arguments and variables.
type Ask<'a> = &'a mut dyn FnMut(&[&str], &[(&str, &str)]) -> Result<String, Error>;

/// The tests of a program.
///
/// # Errors
///
/// When the program cannot be asked.
pub fn list(ask: Ask<'_>, place: Place) -> Result<Vec<Listed>, Error> {
    let as_json = (Listed::VARIABLE, Listed::JSON);
    let text = ask(&["--list"], &[as_json])?;
    let listed: Result<Vec<Listed>, _> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(serde_json::from_str)
        .collect();
    if let Ok(listed) = listed {
        return Ok(listed);
    }
    // Rust's own harness does not say which tests are ignored, but lists them alone.
    let ignored = ask(&["--list", "--ignored"], &[])?;
    let ignored: BTreeSet<_> = names(&ignored).collect();
    let test = |name: &str| Listed {
        name: name.to_owned(),
        place,
        ignored: ignored
            .contains(name)
            .then(|| "it has the attribute `ignore`".to_owned()),
        timeout_ms: u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX),
        requires: Vec::new(),
        provokes: Vec::new(),
    };
    Ok(names(&text).map(test).collect())
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_suffix(": test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_rusts_own_harness_is_asked_twice() {
        let mut ask = |arguments: &[&str], _: &[(&str, &str)]| {
            let text = match arguments.last() {
                Some(&"--ignored") => "b::two: test\n",
                _ => "a::one: test\nb::two: test\nc: benchmark\n\n2 tests, 1 benchmark\n",
            };
            Ok(text.to_owned())
        };
        let listed = list(&mut ask, Place::Target).unwrap();
        let found: Vec<_> = listed
            .iter()
            .map(|t| (t.name.as_str(), t.ignored.is_some()))
            .collect();
        assert_eq!(found, [("a::one", false), ("b::two", true)]);
    }

    #[test]
    fn a_program_of_ours_says_more() {
        let one = Listed {
            name: "one".into(),
            place: Place::Bench,
            ignored: Some("no pci".into()),
            timeout_ms: 7,
            requires: vec!["pci".into()],
            provokes: vec!["Oops".into()],
        };
        let text = serde_json::to_string(&one).unwrap();
        let mut ask = |_: &[&str], variables: &[(&str, &str)]| {
            assert_eq!(variables, [(Listed::VARIABLE, Listed::JSON)]);
            Ok(format!("{text}\n"))
        };
        assert_eq!(list(&mut ask, Place::Target).unwrap(), [one]);
        let mut nothing = |_: &[&str], _: &[(&str, &str)]| Ok(String::new());
        assert_eq!(list(&mut nothing, Place::Target).unwrap(), []);
    }
}
