// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the program's exit code means.

use std::process::ExitCode;

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything asked for was done, and every test passed.
    Ok = 0,
    /// What was tested is broken: a test or a room failed.
    TestFailed = 1,
    /// The command line is wrong, or the request was refused.
    Refused = 2,
    /// This PC lacks something: a package, disk space, the network, a right.
    Environment = 3,
    /// The bench failed: the emulator, the console, the agent.
    Infrastructure = 4,
    /// A bound of time was passed.
    Timeout = 5,
    /// The source does not build, or is not as the formatter or the linter wants it.
    Build = 6,
}

impl Exit {
    /// The one of two that counts, as [`hil_report::Exit`] has it: what did not build was not
    /// tested at all, and a defect stays one whatever else happened. What this PC lacks may be why
    /// a bench failed.
    pub(crate) fn worse(self, other: Self) -> Self {
        const ORDER: [Exit; 7] = [
            Exit::Build,
            Exit::TestFailed,
            Exit::Timeout,
            Exit::Environment,
            Exit::Refused,
            Exit::Infrastructure,
            Exit::Ok,
        ];
        let found = ORDER.into_iter().find(|exit| [self, other].contains(exit));
        found.unwrap_or(self)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // CAST: the enum is `repr(u8)`.
        Self::from(exit as u8)
    }
}

/// The table of exit codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  ok
  1  a test failed
  2  wrong usage, or refused
  3  this PC lacks something: a package, disk space, the network
  4  the bench failed: the emulator, the console, the agent
  5  a bound of time was passed
  6  the source does not build

With --json an error is a JSON object, the last line of standard error:
  {\"error\": \"...\", \"exit_code\": N}, with \"help\" and \"evidence\" if there are any

Environment:
  BRINGUP_CACHE          where downloads and everything made from them are kept
                         (default: ~/.cache/bringup)
  BRINGUP_DEBIAN_MIRROR  the Debian mirror to use (default: this PC's own, from its apt
                         configuration)
  BRINGUP_BOARD, BRINGUP_BENCH
                         which board or bench, where no option says it
  BRINGUP_PASS           variables that programs on a board get too, with commas between the names
  NO_COLOR               no colours";
