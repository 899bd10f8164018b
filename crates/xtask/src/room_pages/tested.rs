// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests of a room, whose names are sentences.

use crate::rust_source::Source;

/// The names of all tests in a file, as sentences, in their order.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let code = Source::new(text).code;
    let marks = ["#[hil::test", "#[test]"];
    let mut places: Vec<_> = marks
        .iter()
        .flat_map(|mark| code.match_indices(mark))
        .map(|(place, _)| place)
        .collect();
    places.sort_unstable();
    let sentences = places.into_iter().filter_map(|place| {
        let (_, rest) = code[place..].split_once("fn ")?;
        let (name, _) = rest.split_once('(')?;
        Some(name.trim().replace('_', " "))
    });
    sentences.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_is_a_sentence_and_nothing_else_is() {
        let text = "fn helper() {}\n#[hil::test]\nfn a_stall_is_told(_: &mut Target) {}\n\
            // #[hil::test] fn no_test() {}\n\
            #[hil::test(\n    timeout = \"9 s\",\n)]\nfn late() {\n}\n\
            #[test]\npub fn on_pc () {}\n";
        assert_eq!(sentences(text), ["a stall is told", "late", "on pc"]);
    }
}
