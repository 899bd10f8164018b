// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a visit may change on a board: settings of the device, and a trace instance of its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use dmacopy_client::{DebugFiles, Device};
use dmacopy_uapi::names::{attribute, debugfs, upcall};
use kernel_channels::tracepoint;
use serde::{Deserialize, Serialize};

/// How the name of a visit's trace instance begins; the number of its process is next.
pub(crate) const TRACE: &str = "bringup-tour-";

/// Where these are, below the mount point of tracefs.
pub(crate) const INSTANCES: &str = "instances";

/// A file by which the kernel is told something, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Back {
    pub(super) done: Vec<String>,
    pub(super) failed: Vec<String>,
}

/// All that a visit may change, as it is now, or as it was before an earlier one that still owes it.
/// What this user cannot read it cannot change either.
pub(super) fn remember(owed: &[Setting]) -> Vec<Setting> {
    let Ok(device) = Device::first() else {
        return Vec::new();
    };
    let folder = device.attributes().directory().path();
    let debug = DebugFiles::open(&device).ok();
    // In the order in which they are put back: what waits for the engine does not meet a longer
    // timeout, and the upcall needs a path to be on.
    let stall = debug.map(|debug| debug.directory().path().join(debugfs::STALL));
    let settings = [attribute::TIMEOUT_MS, attribute::BUFFER_BYTES];
    let settings = settings.map(|name| folder.join(name));
    let upcalls = [upcall::PATH, upcall::INTERVAL_MS, upcall::ENABLED];
    let upcalls = upcalls.map(|name| folder.join(upcall::GROUP).join(name));
    let all = stall.into_iter().chain(settings).chain(upcalls);
    all.filter_map(|path| {
        if let Some(owed) = owed.iter().find(|one| one.path == path) {
            return Some(owed.clone());
        }
        let text = fs::read_to_string(&path).ok()?.trim().to_owned();
        Some(Setting { path, text })
    })
    .collect()
}

/// Puts back what is no longer so, and removes the trace instances of visits: none is under way.
pub(super) fn put_back(settings: &[Setting]) -> Back {
    let mut back = Back::default();
    for setting in settings {
        let path = setting.path.display();
        let Ok(now) = fs::read_to_string(&setting.path) else {
            // The device has gone, and its settings with it.
            continue;
        };
        let now = now.trim();
        if now == setting.text {
            continue;
        }
        let text = &setting.text;
        match setting.write() {
            Ok(()) => back.done.push(format!("{path} is {text:?}, was {now:?}")),
            Err(error) => back
                .failed
                .push(format!("{path} is {now:?}, not {text:?}: {error}")),
        }
    }
    let tracing = tracepoint::mount_point().map(|at| at.join(INSTANCES));
    for instance in tracing.map(|at| instances(&at)).unwrap_or_default() {
        let path = instance.display();
        match fs::remove_dir(&instance) {
            Ok(()) => back.done.push(format!("{path} is gone")),
            Err(error) => back.failed.push(format!("{path}: {error}")),
        }
    }
    back
}

/// The trace instances of visits.
fn instances(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    let of_visits = listed.filter(|one| one.file_name().to_string_lossy().starts_with(TRACE));
    of_visits.map(|one| one.path()).collect()
}

impl Setting {
    fn write(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        // Without the newline, there would be nothing to write for an empty one.
        file.write_all(format!("{}\n", self.text).as_bytes())
    }

    /// The command that puts it back.
    pub(crate) fn command(&self) -> String {
        let text = self.text.replace('\'', r"'\''");
        format!("echo '{text}' > {}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_no_longer_so_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let setting = |name: &str, before: &str, now: &str| {
            let path = folder.path().join(name);
            fs::write(&path, now).unwrap();
            let text = before.to_owned();
            Setting { path, text }
        };
        let same = setting("same", "1", "1\n");
        let other = setting("other", "", "x\n");
        let gone = setting("gone", "1", "2");
        fs::remove_file(&gone.path).unwrap();
        let back = put_back(&[same.clone(), other.clone(), gone]);
        let expected = format!("{} is \"\", was \"x\"", other.path.display());
        assert_eq!(back.done, [expected]);
        assert_eq!(back.failed, [""; 0]);
        assert!(fs::read_to_string(&other.path).unwrap().starts_with('\n'));
        assert_eq!(fs::read_to_string(&same.path).unwrap(), "1\n");
    }

    #[test]
    fn the_command_that_puts_it_back_is_one_for_the_shell() {
        let setting = Setting {
            path: "/sys/path".into(),
            text: "/it's".into(),
        };
        assert_eq!(setting.command(), r"echo '/it'\''s' > /sys/path");
    }
}
