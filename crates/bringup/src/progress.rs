// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a person sees while a command works: one line per step, on standard error.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use hil::{Agent, Console, Error};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::failure::{OrFail, Result};
use crate::sending;

/// Widest title of a step.
pub(crate) const TITLE: usize = 12;

/// How often a step says that it goes on, on a screen that keeps every line.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// Prints steps.
#[derive(Debug)]
pub(crate) struct Progress {
    verbose: bool,
    logs: PathBuf,
    /// The lines of the steps that are under way.
    lines: MultiProgress,
    announced: Announced,
}

/// Steps whose beginning stands on a screen that keeps every line, and whose end does not yet: title,
/// and what happens. One that several parts of this program do in turn is one step for who reads that.
#[derive(Clone, Debug, Default)]
struct Announced(Arc<Mutex<BTreeSet<[String; 2]>>>);

impl Announced {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<[String; 2]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a step that begins is to be announced.
    fn begin(&self, title: &str, doing: &str) -> bool {
        self.lock().insert([title, doing].map(str::to_owned))
    }

    /// A step has come to a result.
    fn end(&self, title: &str, doing: &str) {
        self.lock().remove(&[title, doing].map(str::to_owned));
    }
}

impl Progress {
    /// Steps keep what their programs print in files below `logs`, and show it when `verbose`.
    pub(crate) fn new(verbose: bool, logs: PathBuf) -> Self {
        let lines = MultiProgress::new();
        Self {
            verbose,
            logs,
            lines,
            announced: Announced::default(),
        }
    }

    /// Begins a step. `title` is one word; `doing` says what happens, for whoever waits.
    pub(crate) fn step(&self, title: &str, doing: &str) -> Result<Step> {
        std::fs::create_dir_all(&self.logs)
            .or_environment(|| format!("cannot make the folder {}", self.logs.display()))?;
        let path = self.logs.join(format!("{title}.log"));
        let log =
            File::create(&path).or_environment(|| format!("cannot write {}", path.display()))?;
        let spinner = self.lines.add(ProgressBar::new_spinner());
        let template = format!("{{spinner}} {{prefix:{TITLE}}} {{elapsed}}  {{wide_msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            spinner.set_style(style);
        }
        spinner.set_prefix(title.to_owned());
        spinner.set_message(doing.to_owned());
        let (alive, gone) = mpsc::channel();
        if spinner.is_hidden() || self.verbose {
            if self.announced.begin(title, doing) {
                self.lines
                    .suspend(|| anstream::eprintln!("  {title:TITLE$} {doing} ..."));
            }
            if !self.verbose {
                self.show_life(title, gone);
            }
        } else {
            spinner.enable_steady_tick(Duration::from_millis(120));
        }
        let sink = Sink {
            title: title.to_owned(),
            doing: doing.to_owned(),
            verbose: self.verbose,
            spinner,
            log: Mutex::new(log),
            _alive: alive,
        };
        Ok(Step {
            sink: Arc::new(sink),
            lines: self.lines.clone(),
            announced: self.announced.clone(),
            started: Instant::now(),
            path,
        })
    }

    /// Says every now and then that a step goes on, until that is `gone`.
    fn show_life(&self, title: &str, gone: mpsc::Receiver<()>) {
        let (lines, title, started) = (self.lines.clone(), title.to_owned(), Instant::now());
        std::thread::spawn(move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = gone.recv_timeout(SIGN_OF_LIFE) {
                let seconds = started.elapsed().as_secs();
                lines.suspend(|| anstream::eprintln!("  {title:TITLE$} goes on, {seconds} s"));
            }
        });
    }

    /// Puts a program on a board, as [`Agent::install`] does, and shows it if that takes long.
    pub(crate) fn install(
        &self,
        agent: &Agent,
        program: &Path,
    ) -> std::result::Result<String, Error> {
        sending::install(agent, program, self.verbose, &self.lines)
    }

    /// Says something that is not the result of a step.
    pub(crate) fn note(&self, text: &str) {
        let style = Style::new().fg_color(Some(AnsiColor::Yellow.into())).bold();
        self.lines
            .suspend(|| anstream::eprintln!("{style}note:{style:#} {text}"));
    }
}

/// One step that has begun. Unless it is [done](Self::done), it ends without a line of its own,
/// because a failure follows.
#[derive(Debug)]
pub(crate) struct Step {
    sink: Arc<Sink>,
    lines: MultiProgress,
    announced: Announced,
    started: Instant,
    path: PathBuf,
}

/// Where the lines of a step's programs go.
#[derive(Debug)]
struct Sink {
    title: String,
    doing: String,
    verbose: bool,
    spinner: ProgressBar,
    log: Mutex<File>,
    /// Closed with the step.
    _alive: mpsc::Sender<()>,
}

impl Sink {
    fn line(&self, line: &str) {
        if let Ok(mut log) = self.log.lock() {
            // A log that cannot be written must not end the work that it describes.
            let _ = writeln!(log, "{line}");
        }
        if self.spinner.is_finished() {
            return;
        }
        if self.verbose {
            anstream::eprintln!("  {:TITLE$} | {line}", self.title);
        } else {
            let shown: String = line.chars().filter(|c| !c.is_control()).collect();
            self.spinner.set_message(format!("{}: {shown}", self.doing));
        }
    }
}

impl Step {
    /// Puts a program on a board, as [`Progress::install`] does.
    pub(crate) fn install(
        &self,
        agent: &Agent,
        program: &Path,
    ) -> std::result::Result<String, Error> {
        sending::install(agent, program, self.sink.verbose, &self.lines)
    }

    /// Takes a line that a program of this step printed.
    pub(crate) fn line(&self, line: &str) {
        self.sink.line(line);
    }

    /// Takes all that a console says from now on, as it comes.
    pub(crate) fn show(&self, console: &Console) {
        let (bytes, sink) = (console.watch(), self.sink.clone());
        std::thread::spawn(move || {
            let mut line = Vec::new();
            for byte in bytes.into_iter().flatten() {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                let text = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
                sink.line(text.trim_end_matches('\r'));
            }
        });
    }

    /// Where the lines are kept.
    pub(crate) fn log(&self) -> &Path {
        &self.path
    }

    /// How long it has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the step and says in a few words what came of it.
    pub(crate) fn done(self, result: &str) {
        let seconds = self.elapsed().as_secs_f64();
        let style = Style::new().fg_color(Some(AnsiColor::Green.into()));
        self.sink.spinner.finish_and_clear();
        let title = &self.sink.title;
        self.announced.end(title, &self.sink.doing);
        let line = format!("{style}\u{2713}{style:#} {title:TITLE$} {result} ({seconds:.1} s)");
        self.lines.suspend(|| anstream::eprintln!("{line}"));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.sink.spinner.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_taken_up_again_is_announced_once() {
        let folder = tempfile::tempdir().unwrap();
        // All lines of a verbose run stay on the screen.
        let progress = Progress::new(true, folder.path().to_path_buf());
        let step = || progress.step("boot", "Some Board in QEMU").unwrap();
        let is_new = |doing| {
            let is_new = progress.announced.begin("boot", doing);
            if is_new {
                progress.announced.end("boot", doing);
            }
            is_new
        };
        drop(step());
        assert!(!is_new("Some Board in QEMU"));
        assert!(is_new("Other Board in QEMU"));
        step().done("ready");
        assert!(is_new("Some Board in QEMU"));
    }
}
