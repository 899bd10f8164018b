// SPDX-License-Identifier: MIT OR Apache-2.0

//! The header for C programs is what its sources say now.

use super::Fault;
use crate::{Tree, c_header};

/// Where the sources begin.
const ROOT: &str = "crates/dmacopy-uapi/src/abi/mod.rs";

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    if tree.get(ROOT).is_none() {
        return Vec::new();
    }
    let expected = match c_header::generate(tree) {
        Ok(expected) => expected,
        Err(what) => {
            return vec![Fault::new(
                ROOT,
                1,
                format!("the header cannot be made: {what}"),
            )];
        }
    };
    let help = "`cargo xtask header` writes it anew";
    let Some(header) = tree.get(c_header::PATH) else {
        return vec![Fault::new(c_header::PATH, 1, format!("is missing; {help}"))];
    };
    let (mut ours, mut theirs) = (expected.lines(), header.text.lines());
    let mut line = 1;
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return Vec::new(),
            (one, other) if one == other => line += 1,
            _ => {
                let what = format!("is not what the sources of the ABI say; {help}");
                return vec![Fault::new(c_header::PATH, line, what)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const SOURCE: &str = "/// The version.\npub const ABI_VERSION: u32 = 2;\n";

    fn found(source: &str, header: &str) -> Vec<String> {
        places(&check(&Tree::from([
            (ROOT, source),
            (c_header::PATH, header),
        ])))
    }

    #[test]
    fn a_header_that_is_older_than_its_sources_or_edited_or_missing_is_found() {
        let header = c_header::generate(&Tree::from([(ROOT, SOURCE)])).unwrap();
        assert_eq!(found(SOURCE, &header), [""; 0]);
        let line = header
            .lines()
            .position(|line| line.starts_with("#define DMACOPY_ABI_VERSION"));
        let place = format!("{}:{}", c_header::PATH, line.unwrap() + 1);
        assert_eq!(
            found(&SOURCE.replace('2', "3"), &header),
            std::slice::from_ref(&place)
        );
        assert_eq!(
            found(SOURCE, &header.replace("VERSION 2", "VERSION 3")),
            [place]
        );
        let more = format!("{header}int more;\n");
        assert_eq!(found(SOURCE, &more).len(), 1);
        let faults = check(&Tree::from([(ROOT, SOURCE)]));
        assert_eq!(places(&faults), [format!("{}:1", c_header::PATH)]);
    }

    #[test]
    fn sources_that_c_cannot_say_are_found() {
        let places = found("pub const ABI_VERSION: u32 = other();\n", "");
        assert_eq!(places, [format!("{ROOT}:1")]);
    }
}
