// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test on the board gets.

mod folder;
mod kernel_log;
mod wait;

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_wire::Record;

use crate::TargetDescription;
use folder::Folder;
use kernel_log::KernelLog;

pub use wait::InVain;

/// The board, for a test that runs on it and has it for itself.
///
/// ```
/// use std::time::Duration;
/// use hil::Target;
///
/// fn a_file_is_as_long_as_what_was_written(target: &mut Target) -> hil::Result {
///     let path = target.folder()?.join("file");
///     std::fs::write(&path, "text")?;
///     let length = std::fs::metadata(&path)?.len();
///     target.note("length", length);
///     assert_eq!(length, 4);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Target {
    description: Arc<TargetDescription>,
    folder: Option<Folder>,
    kernel_log: KernelLog,
}

impl Target {
    pub(crate) fn new(description: Arc<TargetDescription>) -> Self {
        Self {
            description,
            folder: None,
            kernel_log: KernelLog::from_now(),
        }
    }

    /// The name of the board.
    pub fn board(&self) -> &str {
        &self.description.board
    }

    /// What people call the board.
    pub fn title(&self) -> &str {
        &self.description.title
    }

    /// The name of the bench that the board is on.
    pub fn bench(&self) -> &str {
        &self.description.bench
    }

    /// What the board can do.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        self.description.capabilities.iter().map(String::as_str)
    }

    /// Whether the board can do something. A test that is about nothing else says `requires`
    /// instead, and is ignored where the board cannot.
    ///
    /// ```
    /// # fn a_test(target: &mut hil::Target) {
    /// let engines = if target.has("pci") { 2 } else { 1 };
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// When no board can have such a capability, as nobody knows it.
    #[track_caller]
    pub fn has(&self, capability: &str) -> bool {
        match self.description.has(capability) {
            Ok(has) => has,
            Err(unknown) => panic!("{unknown}"),
        }
    }

    /// An empty folder of this test's own on the board, which is removed when the test is over.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn folder(&mut self) -> io::Result<&Path> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => Folder::new()?,
        };
        Ok(self.folder.insert(folder).path())
    }

    /// Keeps evidence: what was measured, what was found. It stands on standard error as a line
    /// `note: key = value`, from where reports take it.
    ///
    /// ```
    /// # fn a_test(target: &mut hil::Target) {
    /// target.note("latency, microseconds", 12.5);
    /// // note: latency, microseconds = 12.5
    /// # }
    /// ```
    pub fn note(&mut self, key: &str, value: impl Display) {
        // A note that nobody reads fails no test.
        let _ = io::stderr().write_all(note(key, &value).as_bytes());
    }

    /// What the kernel has said since the test began, setup included, oldest first.
    ///
    /// ```
    /// # fn a_test(target: &mut hil::Target) -> hil::Result {
    /// let complaints = target.kernel_log()?.iter().filter(|record| record.level <= 4);
    /// assert_eq!(complaints.count(), 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When it must not be read, which needs root on most systems, or when messages have been
    /// overwritten before they were read.
    pub fn kernel_log(&mut self) -> io::Result<&[Record]> {
        self.kernel_log.read()
    }

    /// Looks for something again and again until it is there.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn a_test(target: &mut hil::Target) -> hil::Result {
    /// let node = target.wait_for("the device node", Duration::from_secs(5), || {
    ///     std::fs::File::open("/dev/dmacopy0").ok()
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When it is not there in time.
    pub fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        look: impl FnMut() -> Option<T>,
    ) -> Result<T, InVain> {
        wait::wait_for(what, limit, look)
    }

    /// Removes what the test leaves behind.
    pub(crate) fn close(self) -> Result<(), String> {
        match self.folder {
            Some(folder) => folder.remove(),
            None => Ok(()),
        }
    }
}

/// A note as one line, whatever is noted.
fn note(key: &str, value: &impl Display) -> String {
    struct OneLine<T>(T);
    impl<T: Display> Display for OneLine<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for c in self.0.to_string().chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            Ok(())
        }
    }
    format!("note: {} = {}\n", OneLine(key), OneLine(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        let known = ["can", "pci"].map(|name| (name.into(), String::new()));
        Target::new(Arc::new(TargetDescription {
            capabilities: ["pci".to_owned()].into(),
            known: known.into(),
            ..TargetDescription::default()
        }))
    }

    #[test]
    fn a_folder_is_the_same_all_the_time_and_gone_afterwards() {
        let mut target = target();
        let path = target.folder().unwrap().to_owned();
        std::fs::write(path.join("file"), "text").unwrap();
        assert_eq!(target.folder().unwrap(), path);
        assert_eq!(target.close(), Ok(()));
        assert!(!path.exists());
    }

    #[test]
    fn a_note_is_one_line() {
        assert_eq!(note("a key", &1.5), "note: a key = 1.5\n");
        assert_eq!(note("a\nb", &"ü\tc\r\n"), "note: a\\nb = ü\\tc\\r\\n\n");
    }

    #[test]
    fn a_board_has_its_capabilities() {
        assert!(target().has("pci"));
        assert!(!target().has("can"));
        assert_eq!(target().capabilities().collect::<Vec<_>>(), ["pci"]);
    }

    #[test]
    #[should_panic(expected = "no such capability as `pcie`; near ones: `pci`")]
    fn a_capability_that_nobody_knows_is_no_answer() {
        target().has("pcie");
    }
}
