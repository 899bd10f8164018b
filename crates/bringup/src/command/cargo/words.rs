// SPDX-License-Identifier: MIT OR Apache-2.0

//! What cargo is told, as far as that matters here.

/// Cargo's own commands that run nothing of what they build. Any other may: a plugin, an alias.
const RUNS_NOTHING: [&str; 25] = [
    "add", "b", "build", "c", "check", "clean", "clippy", "d", "doc", "fetch", "fix", "fmt",
    "help", "info", "init", "metadata", "new", "package", "remove", "rustc", "search", "tree",
    "update", "vendor", "version",
];

/// What keeps the others from it.
const RUN_NOTHING: [&str; 5] = ["--no-run", "--help", "-h", "--version", "-V"];

/// Cargo's own commands that run tests, which can also be built without.
const TESTS: [&str; 3] = ["test", "t", "bench"];

/// The words that cargo is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a>(pub(super) &'a [String]);

impl<'a> Words<'a> {
    /// Those that are cargo's own, not the programs'.
    fn own(self) -> impl Iterator<Item = &'a str> {
        let own = self.0.iter().take_while(|word| *word != "--");
        own.map(String::as_str)
    }

    /// Whether they name a board: this program's option, in the wrong place.
    pub(super) fn name_a_board(self) -> bool {
        self.own()
            .any(|word| word == "--board" || word.starts_with("--board="))
    }

    /// The command.
    pub(super) fn command(self) -> Option<&'a str> {
        self.own().find(|word| !word.starts_with(['-', '+']))
    }

    /// Whether it may run programs on a board.
    pub(super) fn may_run(self) -> bool {
        let runs = |command| !RUNS_NOTHING.contains(&command);
        self.command().is_some_and(runs) && !self.own().any(|word| RUN_NOTHING.contains(&word))
    }

    /// The words that build what these run, and tell as JSON what that is; none where that is not
    /// known.
    pub(super) fn building(self) -> Option<Vec<String>> {
        let tests = self
            .command()
            .is_some_and(|command| TESTS.contains(&command));
        if !tests || self.own().any(|word| word.starts_with("--message-format")) {
            return None;
        }
        let more = ["--no-run", "--message-format=json"];
        Some(self.own().chain(more).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &str) -> Vec<String> {
        words.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_what_runs_programs_needs_a_board() {
        let runs = |words: &str| Words(&split(words)).may_run();
        assert!(runs("test -p x") && runs("-q t") && runs("run -- build") && runs("nextest run"));
        assert!(runs("run -- --help"), "the program's words are not cargo's");
        assert!(!runs("build --test ioctl") && !runs("clippy -- test") && !runs("--version"));
        assert!(!runs("test --no-run") && !runs("run --help"));
    }

    #[test]
    fn tests_can_be_built_first() {
        let building = |words: &str| Words(&split(words)).building();
        let expected = split("-q test --test a --no-run --message-format=json");
        assert_eq!(building("-q test --test a -- --exact b"), Some(expected));
        for words in ["run", "nextest run", "test --message-format=json", "-q"] {
            assert_eq!(building(words), None);
        }
    }
}
