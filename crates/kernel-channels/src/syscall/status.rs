// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a descriptor is.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::ptr;

use super::bytes::descriptor;
use super::{Call, call};
use crate::Error;

/// What the kernel says of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What kind of file, and who may do what. `st_mode`
    pub mode: u16,
    /// Which device it is a node of, major and minor number; zero if of none.
    pub device: (u32, u32),
    /// Its number in its file system.
    pub inode: u64,
    /// On which mount it was opened, as in `/proc/self/mountinfo`; 0 for a kernel before 5.8.
    pub mount: u64,
}

impl Status {
    /// Whether it is a character device.
    pub fn is_character_device(self) -> bool {
        u32::from(self.mode) & libc::S_IFMT == libc::S_IFCHR
    }
}

/// What the kernel says of an open file. `statx(2)`
///
/// # Errors
///
/// [`Error::SystemCall`] with what the file system returned.
pub fn identify(fd: impl AsFd) -> Result<Status, Error> {
    const BASIC_AND_MOUNT: usize = 0x7ff | 0x1000;
    // SAFETY: all zero is a status.
    let mut found: libc::statx = unsafe { MaybeUninit::zeroed().assume_init() };
    let (path, result) = (c"".as_ptr(), ptr::from_mut(&mut found));
    let arguments = [
        descriptor(&fd),
        path.expose_provenance(),
        libc::AT_EMPTY_PATH as usize,
        BASIC_AND_MOUNT,
        result.expose_provenance(),
        0,
    ];
    // SAFETY: the path is an empty text, and the kernel writes one status, to memory that nobody else
    // refers to.
    unsafe { call(Call::STATX, arguments) }?;
    Ok(Status {
        mode: found.stx_mode,
        device: (found.stx_rdev_major, found.stx_rdev_minor),
        inode: found.stx_ino,
        mount: found.stx_mnt_id,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_node_and_a_file_are_what_they_are() {
        let null = identify(File::open("/dev/null").unwrap()).unwrap();
        assert!(null.is_character_device());
        assert_eq!(null.device, (1, 3));
        let file = tempfile::tempfile().unwrap();
        let status = identify(&file).unwrap();
        assert!(!status.is_character_device());
        assert_eq!(status.device, (0, 0));
        assert_eq!(status.inode, file.metadata().unwrap().ino());
    }
}
