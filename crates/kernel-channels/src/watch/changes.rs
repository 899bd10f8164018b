// SPDX-License-Identifier: MIT OR Apache-2.0

//! What happens to files: a set of bits that inotify and fanotify have in common.

use std::fmt;
use std::ops::BitOr;

/// What has happened to a file, or what to tell of. A set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Changes(u32);

impl Changes {
    /// It was read. `IN_ACCESS`
    pub const ACCESS: Self = Self(0x1);
    /// It was written. `IN_MODIFY`
    pub const MODIFY: Self = Self(0x2);
    /// Its mode, owner, times or number of links have changed. `IN_ATTRIB`
    pub const ATTRIB: Self = Self(0x4);
    /// It was closed by somebody who could write. `IN_CLOSE_WRITE`
    pub const CLOSE_WRITE: Self = Self(0x8);
    /// It was closed by somebody who could not. `IN_CLOSE_NOWRITE`
    pub const CLOSE_NOWRITE: Self = Self(0x10);
    /// It was opened. `IN_OPEN`
    pub const OPEN: Self = Self(0x20);
    /// It was renamed, and this is what it was called. `IN_MOVED_FROM`
    pub const MOVED_FROM: Self = Self(0x40);
    /// It was renamed, and this is what it is called. `IN_MOVED_TO`
    pub const MOVED_TO: Self = Self(0x80);
    /// It has appeared in the folder that is watched. `IN_CREATE`
    pub const CREATE: Self = Self(0x100);
    /// It has gone from the folder that is watched. `IN_DELETE`
    pub const DELETE: Self = Self(0x200);
    /// What is watched has gone. `IN_DELETE_SELF`
    pub const DELETE_SELF: Self = Self(0x400);
    /// What is watched was renamed. `IN_MOVE_SELF`
    pub const MOVE_SELF: Self = Self(0x800);
    /// Its file system was unmounted. Told without being asked for, by inotify. `IN_UNMOUNT`
    pub const UNMOUNT: Self = Self(0x2000);
    /// The watch has gone. Told without being asked for, by inotify. `IN_IGNORED`
    pub const IGNORED: Self = Self(0x8000);
    /// It is a folder. Told without being asked for. `IN_ISDIR`
    pub const DIRECTORY: Self = Self(0x4000_0000);

    const NAMES: [(Self, &'static str); 15] = [
        (Self::ACCESS, "ACCESS"),
        (Self::MODIFY, "MODIFY"),
        (Self::ATTRIB, "ATTRIB"),
        (Self::CLOSE_WRITE, "CLOSE_WRITE"),
        (Self::CLOSE_NOWRITE, "CLOSE_NOWRITE"),
        (Self::OPEN, "OPEN"),
        (Self::MOVED_FROM, "MOVED_FROM"),
        (Self::MOVED_TO, "MOVED_TO"),
        (Self::CREATE, "CREATE"),
        (Self::DELETE, "DELETE"),
        (Self::DELETE_SELF, "DELETE_SELF"),
        (Self::MOVE_SELF, "MOVE_SELF"),
        (Self::UNMOUNT, "UNMOUNT"),
        (Self::IGNORED, "IGNORED"),
        (Self::DIRECTORY, "DIRECTORY"),
    ];

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// As the kernel has them.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// From what the kernel tells; bits that have no name here are left out.
    pub(super) fn from_bits(bits: u32) -> Self {
        let known = Self::NAMES
            .iter()
            .fold(0, |known, (change, _)| known | change.0);
        Self(bits & known)
    }
}

impl BitOr for Changes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Shows the names of the bits, as `OPEN|CLOSE_WRITE`, or `nothing`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Self::NAMES
            .into_iter()
            .filter_map(|(change, name)| self.contains(change).then_some(name))
            .collect();
        f.pad(&if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join("|")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_both() {
        for (change, inotify, fanotify) in [
            (Changes::ACCESS, libc::IN_ACCESS, libc::FAN_ACCESS),
            (Changes::MODIFY, libc::IN_MODIFY, libc::FAN_MODIFY),
            (Changes::ATTRIB, libc::IN_ATTRIB, libc::FAN_ATTRIB),
            (
                Changes::CLOSE_WRITE,
                libc::IN_CLOSE_WRITE,
                libc::FAN_CLOSE_WRITE,
            ),
            (
                Changes::CLOSE_NOWRITE,
                libc::IN_CLOSE_NOWRITE,
                libc::FAN_CLOSE_NOWRITE,
            ),
            (Changes::OPEN, libc::IN_OPEN, libc::FAN_OPEN),
            (
                Changes::MOVED_FROM,
                libc::IN_MOVED_FROM,
                libc::FAN_MOVED_FROM,
            ),
            (Changes::MOVED_TO, libc::IN_MOVED_TO, libc::FAN_MOVED_TO),
            (Changes::CREATE, libc::IN_CREATE, libc::FAN_CREATE),
            (Changes::DELETE, libc::IN_DELETE, libc::FAN_DELETE),
            (
                Changes::DELETE_SELF,
                libc::IN_DELETE_SELF,
                libc::FAN_DELETE_SELF,
            ),
            (Changes::MOVE_SELF, libc::IN_MOVE_SELF, libc::FAN_MOVE_SELF),
            (Changes::DIRECTORY, libc::IN_ISDIR, libc::FAN_ONDIR),
        ] {
            assert_eq!(
                (change.bits(), u64::from(change.bits())),
                (inotify, fanotify),
                "{change}"
            );
        }
        assert_eq!(Changes::UNMOUNT.bits(), libc::IN_UNMOUNT);
        assert_eq!(Changes::IGNORED.bits(), libc::IN_IGNORED);
    }

    #[test]
    fn a_set_is_shown_by_its_names() {
        let both = Changes::CLOSE_WRITE | Changes::OPEN;
        assert_eq!(both.to_string(), "CLOSE_WRITE|OPEN");
        assert!(both.contains(Changes::OPEN) && !Changes::OPEN.contains(both));
        assert_eq!(Changes::from_bits(0x1000).to_string(), "nothing");
    }
}
