// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files that come to the board or go from it.
//!
//! A file appears under its name when it is whole. What has come of one whose transfer broke off
//! stays beside it, so that the next attempt goes on from there.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use agent_wire::message::{CHUNK, Reply};
use anyhow::{Context as _, bail, ensure};
use sha2::{Digest, Sha256};

use super::replies::Replies;

/// A file that is coming.
#[derive(Debug)]
pub(super) struct Arriving {
    file: File,
    hasher: Sha256,
    here: u64,
    wanted: Wanted,
}

/// The hashes of files that have been looked at: a board takes long to compute them.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Identity, [u8; 32]>);

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a file is to be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) length: u64,
    pub(super) sha256: [u8; 32],
}

impl Wanted {
    /// Where it is kept as long as it is not whole.
    fn partial(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        let hash = hexadecimal(&self.sha256[..6]);
        name.push(format!(".{hash}.partial"));
        name.into()
    }

    /// Whether it is there already.
    fn is_there(&self, known: &mut Known) -> bool {
        let mut is_it = || -> io::Result<bool> {
            let file = File::open(&self.path)?;
            let metadata = file.metadata()?;
            if metadata.len() != self.length {
                return Ok(false);
            }
            let identity = Identity::of(&metadata);
            if let Some(sha256) = known.0.get(&identity) {
                return Ok(*sha256 == self.sha256);
            }
            let sha256 = hash(file)?.0.finalize().into();
            known.0.insert(identity, sha256);
            Ok(sha256 == self.sha256)
        };
        is_it().unwrap_or(false)
    }

    /// Gets ready to take the file. None when it is there already.
    pub(super) fn begin(self, known: &mut Known) -> anyhow::Result<Option<Arriving>> {
        ensure!(self.path.is_absolute(), "the path is not absolute");
        if self.is_there(known) {
            fs::set_permissions(&self.path, Permissions::from_mode(self.mode))?;
            return Ok(None);
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).context("cannot make its folder")?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.partial())
            .context("cannot make it")?;
        let (hasher, here) = hash(&mut file)?;
        let (hasher, here) = if here <= self.length {
            (hasher, here)
        } else {
            file.set_len(0)?;
            file.rewind()?;
            (Sha256::new(), 0)
        };
        Ok(Some(Arriving {
            file,
            hasher,
            here,
            wanted: self,
        }))
    }
}

impl Arriving {
    /// How much of it is here, in bytes.
    pub(super) fn here(&self) -> u64 {
        self.here
    }

    /// Where it is to be.
    pub(super) fn path(&self) -> &Path {
        &self.wanted.path
    }

    /// Takes the next part; whether it was the last.
    pub(super) fn take(&mut self, offset: u64, bytes: &[u8]) -> anyhow::Result<bool> {
        let result = self.take_part(offset, bytes);
        if result.is_err() {
            // What is left of it may be what fills the disk.
            let _ = fs::remove_file(self.wanted.partial());
        }
        result
    }

    fn take_part(&mut self, offset: u64, bytes: &[u8]) -> anyhow::Result<bool> {
        ensure!(
            offset == self.here,
            "the part from byte {offset} on came when that from {} on was awaited",
            self.here
        );
        ensure!(
            bytes.len() as u64 <= self.wanted.length - self.here,
            "there is more of it than announced"
        );
        self.file.write_all(bytes).context("cannot write it")?;
        self.hasher.update(bytes);
        self.here += bytes.len() as u64;
        if self.here < self.wanted.length {
            return Ok(false);
        }
        let sha256 = std::mem::take(&mut self.hasher).finalize();
        ensure!(
            sha256 == self.wanted.sha256.into(),
            "what came is not what was announced: its SHA-256 differs"
        );
        let partial = self.wanted.partial();
        fs::set_permissions(&partial, Permissions::from_mode(self.wanted.mode))?;
        self.file.sync_all().context("cannot write it")?;
        fs::rename(&partial, &self.wanted.path).context("cannot give it its name")?;
        Ok(true)
    }
}

/// Hashes the rest of a file and says how long that was, in bytes.
fn hash(mut file: impl Read) -> io::Result<(Sha256, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher, total)),
            Ok(length) => {
                hasher.update(&buffer[..length]);
                total += length as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Sends a file from an offset on.
pub(super) fn send(path: &Path, offset: u64, replies: &Replies) -> anyhow::Result<()> {
    let mut file = File::open(path).context("cannot open it")?;
    let metadata = file.metadata()?;
    // Those of procfs and sysfs have no length that could be told before they are read.
    let mut content = Vec::new();
    let is_plain = metadata.is_file() && metadata.len() > 0;
    if !is_plain {
        if metadata.is_dir() {
            bail!("it is a folder");
        }
        file.read_to_end(&mut content).context("cannot read it")?;
    }
    let (hasher, length) = if is_plain {
        let hashed = hash(&mut file).context("cannot read it")?;
        file.seek(SeekFrom::Start(offset))?;
        hashed
    } else {
        hash(content.as_slice())?
    };
    ensure!(offset <= length, "it has only {length} bytes");
    let sent = replies.send(Reply::Length {
        length,
        mode: metadata.permissions().mode() & 0o7777,
        sha256: hasher.finalize().into(),
    });
    let mut rest: Box<dyn Read> = if is_plain {
        Box::new(file.take(length - offset))
    } else {
        let from = usize::try_from(offset)?;
        Box::new(io::Cursor::new(content.split_off(from)))
    };
    if !sent {
        return Ok(());
    }
    let mut offset = offset;
    loop {
        let mut bytes = vec![0; CHUNK];
        let length = rest.read(&mut bytes).context("cannot read it")?;
        bytes.truncate(length);
        if length == 0 || !replies.send(Reply::Data { offset, bytes }) {
            return Ok(());
        }
        offset += length as u64;
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(folder: &Path, content: &[u8]) -> Wanted {
        Wanted {
            path: folder.join("new/file"),
            mode: 0o750,
            length: content.len() as u64,
            sha256: Sha256::digest(content).into(),
        }
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path(), b"hello world");
        let mut arriving = wanted
            .clone()
            .begin(&mut Known::default())
            .unwrap()
            .unwrap();
        assert!(!arriving.take(0, b"hello").unwrap());
        assert!(!wanted.path.exists());
        assert!(arriving.take(5, b" world").unwrap());
        assert_eq!(fs::read(&wanted.path).unwrap(), b"hello world");
        let mode = fs::metadata(&wanted.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o750);
        assert!(!wanted.partial().exists());
        let mut known = Known::default();
        for _ in 0..2 {
            let there = wanted.clone().begin(&mut known).unwrap().is_none();
            assert!(there, "it is there");
        }
        fs::write(&wanted.path, b"HELLO WORLD").unwrap();
        let changed = wanted.begin(&mut known).unwrap();
        assert!(changed.is_some(), "of the same length, and another one");
    }

    #[test]
    fn a_transfer_that_broke_off_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path(), b"hello world");
        let mut first = wanted
            .clone()
            .begin(&mut Known::default())
            .unwrap()
            .unwrap();
        first.take(0, b"hello").unwrap();
        drop(first);
        let mut second = wanted
            .clone()
            .begin(&mut Known::default())
            .unwrap()
            .unwrap();
        assert_eq!(second.here(), 5);
        assert!(second.take(5, b" world").unwrap());
        assert_eq!(fs::read(&wanted.path).unwrap(), b"hello world");
    }

    #[test]
    fn what_is_not_what_was_announced_is_refused_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path(), b"hello world");
        for (offset, bytes, reason) in [
            (0, b"HELLO WORLD".as_slice(), "SHA-256"),
            (0, b"hello world!", "more of it"),
            (3, b"lo", "awaited"),
        ] {
            let mut arriving = wanted
                .clone()
                .begin(&mut Known::default())
                .unwrap()
                .unwrap();
            let error = arriving.take(offset, bytes).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!wanted.path.exists());
            assert!(!wanted.partial().exists());
        }
    }

    #[test]
    fn a_partial_file_that_is_too_long_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path(), b"abc");
        fs::create_dir_all(wanted.path.parent().unwrap()).unwrap();
        fs::write(wanted.partial(), b"something longer").unwrap();
        let mut arriving = wanted.begin(&mut Known::default()).unwrap().unwrap();
        assert_eq!(arriving.here(), 0);
        assert!(arriving.take(0, b"abc").unwrap());
    }
}
