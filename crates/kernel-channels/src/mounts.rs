// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where file systems are mounted, see `proc_pid_mounts(5)`.

use std::path::{Path, PathBuf};

use crate::{Error, text_file};

/// Where a file system of a type is mounted.
///
/// # Errors
///
/// [`Error::NotMounted`] when it is not, and [`Error::Path`] when `/proc/mounts` cannot be read.
pub(crate) fn mount_point(filesystem: &'static str) -> Result<PathBuf, Error> {
    let mounts = text_file::read(Path::new("/proc/mounts"))?;
    mounted_at(&mounts, filesystem).ok_or(Error::NotMounted { filesystem })
}

/// Finds the mount point of a file system type in the text of `/proc/mounts`.
fn mounted_at(mounts: &str, filesystem: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        (kind == filesystem).then(|| PathBuf::from(unescape(point)))
    })
}

/// Undoes the escapes of `/proc/mounts`: a backslash and three octal digits for a white space or
/// a backslash.
fn unescape(field: &str) -> String {
    let mut text = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let digits = after.get(..3).and_then(|d| u8::from_str_radix(d, 8).ok());
        match digits {
            Some(byte) => {
                text.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                text.push('\\');
                rest = after;
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "sysfs /sys sysfs rw,nosuid 0 0\n\
                          none /home/a\\040debugfs tmpfs rw 0 0\n\
                          debugfs /sys/kernel/debug debugfs rw,relatime 0 0\n";

    #[test]
    fn the_type_decides_and_not_the_name() {
        let found = mounted_at(MOUNTS, "debugfs");
        assert_eq!(found.as_deref(), Some(Path::new("/sys/kernel/debug")));
        let found = mounted_at(MOUNTS, "tmpfs");
        assert_eq!(found.as_deref(), Some(Path::new("/home/a debugfs")));
    }

    #[test]
    fn what_is_not_mounted_is_not_found() {
        assert_eq!(mounted_at(MOUNTS, "tracefs"), None);
        assert_eq!(mounted_at("", "debugfs"), None);
        assert_eq!(mounted_at("debugfs\n", "debugfs"), None);
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_kept() {
        assert_eq!(unescape("a\\040b\\134c"), "a b\\c");
        assert_eq!(unescape("end\\"), "end\\");
        assert_eq!(unescape("\\9zz\\u{e9}"), "\\9zz\\u{e9}");
    }
}
