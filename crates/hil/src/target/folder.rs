// SPDX-License-Identifier: MIT OR Apache-2.0

//! A temporary folder.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes, with all that is in it, when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("hil-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            // One that is there already is another's, who may have left it long ago.
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let text = format!("cannot make {}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), text));
                }
                Ok(()) => return Ok(Self(path)),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the folder, and says if it cannot be.
    pub(super) fn remove(mut self) -> Result<(), String> {
        let path = std::mem::take(&mut self.0);
        fs::remove_dir_all(&path)
            .map_err(|error| format!("cannot remove {}: {error}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Only a test that was given up gets here with one, and nobody listens to that.
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_is_empty_private_and_another_one() {
        let (one, other) = (Folder::new().unwrap(), Folder::new().unwrap());
        assert_ne!(one.path(), other.path());
        assert_eq!(fs::read_dir(one.path()).unwrap().count(), 0);
        let mode = fs::metadata(one.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn one_goes_with_all_that_is_in_it() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        fs::create_dir(path.join("folder")).unwrap();
        fs::write(path.join("folder/file"), "text").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_cannot_be_removed_is_told() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        fs::remove_dir(&path).unwrap();
        let told = folder.remove().unwrap_err();
        assert!(told.starts_with(&format!("cannot remove {}: ", path.display())));
    }
}
