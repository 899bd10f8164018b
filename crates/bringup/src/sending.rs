// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a person sees while a program goes to a board over a slow line: nothing at first, then what is
//! on its way and for how long. How much of it has arrived is not known: what has been handed to the
//! line waits there.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use hil::{Agent, Error};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::progress::TITLE;

/// How long a program may take without a word, which most do.
const QUIET: Duration = Duration::from_secs(2);

/// Puts a program on a board, as [`Agent::install`] does. `keeps_lines` says that what is shown stays
/// on the screen.
pub(crate) fn install(
    agent: &Agent,
    program: &Path,
    keeps_lines: bool,
    lines: &MultiProgress,
) -> Result<String, Error> {
    let (under_way, end) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_slow(&end, QUIET) {
                let bar = show(program, keeps_lines, lines);
                // Until the other side is dropped.
                let _ = end.recv();
                bar.finish_and_clear();
            }
        });
        let installed = agent.install(program, &mut |_, _| {});
        drop(under_way);
        installed
    })
}

/// Whether it has not come to its end so soon.
fn is_slow(end: &Receiver<()>, limit: Duration) -> bool {
    end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout)
}

fn words(program: &Path) -> String {
    let name = program.file_name().unwrap_or(program.as_os_str());
    let name = name.to_string_lossy();
    match std::fs::metadata(program) {
        Ok(file) => format!("{name}, {}, goes to the board", HumanBytes(file.len())),
        Err(_) => format!("{name} goes to the board"),
    }
}

fn show(program: &Path, keeps_lines: bool, lines: &MultiProgress) -> ProgressBar {
    let spinner = lines.add(ProgressBar::new_spinner().with_elapsed(QUIET));
    if spinner.is_hidden() || keeps_lines {
        let words = words(program);
        lines.suspend(|| anstream::eprintln!("  {:TITLE$} {words} ...", "send"));
        return spinner;
    }
    let template = format!("{{spinner}} {{prefix:{TITLE}}} {{elapsed}}  {{wide_msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        spinner.set_style(style);
    }
    spinner.set_prefix("send");
    spinner.set_message(words(program));
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_takes_long_is_told_of() {
        let limit = Duration::from_millis(20);
        let (under_way, end) = channel();
        assert!(is_slow(&end, limit));
        drop(under_way);
        assert!(!is_slow(&end, Duration::from_secs(60)));
    }

    #[test]
    fn it_is_told_by_name_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("tests");
        std::fs::write(&program, vec![0; 3 << 20]).unwrap();
        assert_eq!(words(&program), "tests, 3.00 MiB, goes to the board");
    }
}
