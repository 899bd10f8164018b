// SPDX-License-Identifier: MIT OR Apache-2.0

//! What says which bench a command means: its options, or else the environment.

use std::ffi::OsString;

use clap::Args;

use crate::repository::Repository;

/// The environment variables that say which is meant, where no option does.
pub(crate) const BOARD: &str = "BRINGUP_BOARD";
pub(crate) const BENCH: &str = "BRINGUP_BENCH";

/// What the option is that names a board.
const EMULATED: &str = "Which board, emulated; `cargo bringup boards` lists them";

/// The options.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    #[arg(long, value_name = "NAME", help = board_help(EMULATED, Some(BOARD)))]
    pub(crate) board: Option<String>,

    /// Which bench of bench.toml, instead of an emulated board [default: BRINGUP_BENCH, or none].
    #[arg(long, value_name = "NAME")]
    pub(crate) bench: Option<String>,
}

/// The names that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) board: Option<String>,
    pub(crate) bench: Option<String>,
    /// Whether they are the environment's.
    by_environment: bool,
}

impl Choice {
    /// What is meant. Any option counts more than both variables: whoever names a board does not mean
    /// the bench of the terminal.
    pub(crate) fn named(&self) -> Named {
        self.named_beside(|name| std::env::var_os(name))
    }

    fn named_beside(&self, variable: impl Fn(&str) -> Option<OsString>) -> Named {
        if self.board.is_some() || self.bench.is_some() {
            return Named {
                board: self.board.clone(),
                bench: self.bench.clone(),
                by_environment: false,
            };
        }
        // One that is empty is as good as unset.
        let variable = |name| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.map(|value| value.to_string_lossy().into_owned())
        };
        Named {
            board: variable(BOARD),
            bench: variable(BENCH),
            by_environment: true,
        }
    }
}

impl Named {
    /// What names the board: an option or a variable.
    pub(crate) fn board_by(&self) -> &'static str {
        if self.by_environment {
            BOARD
        } else {
            "--board"
        }
    }

    /// What names the bench.
    pub(crate) fn bench_by(&self) -> &'static str {
        if self.by_environment {
            BENCH
        } else {
            "--bench"
        }
    }
}

/// The help of an option that names a board, with the board that is meant without it.
pub(crate) fn board_help(what: &str, variable: Option<&str>) -> String {
    let boards = Repository::find().and_then(|repository| repository.boards());
    let default = match &boards {
        Ok(boards) => boards.default_name(),
        // Whoever has no checkout gets help all the same.
        Err(_) => "the checkout's default",
    };
    match variable {
        Some(variable) => format!("{what} [default: {variable}, or {default}]"),
        None => format!("{what} [default: {default}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(options: [Option<&str>; 2], variables: [Option<&str>; 2]) -> Named {
        let [board, bench] = options.map(|option| option.map(str::to_owned));
        let variable = |name: &str| match name {
            BOARD => variables[0].map(OsString::from),
            BENCH => variables[1].map(OsString::from),
            other => panic!("{other}"),
        };
        Choice { board, bench }.named_beside(variable)
    }

    fn names(named: &Named) -> [Option<&str>; 2] {
        [named.board.as_deref(), named.bench.as_deref()]
    }

    #[test]
    fn an_option_counts_more_than_a_variable_of_either_kind() {
        let all = [Some("other"), Some("rack")];
        for options in [
            [Some("virt"), None],
            [None, Some("desk")],
            [Some("virt"), Some("desk")],
        ] {
            let named = named(options, all);
            assert_eq!(names(&named), options);
            assert_eq!(named.board_by(), "--board");
        }
    }

    #[test]
    fn without_an_option_the_variables_count_unless_they_are_empty() {
        let both = named([None, None], [Some("virt"), Some("desk")]);
        assert_eq!(names(&both), [Some("virt"), Some("desk")]);
        assert_eq!((both.board_by(), both.bench_by()), (BOARD, BENCH));
        let empty = named([None, None], [Some("virt"), Some("")]);
        assert_eq!(names(&empty), [Some("virt"), None]);
    }
}
