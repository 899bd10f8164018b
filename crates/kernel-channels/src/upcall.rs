// SPDX-License-Identifier: MIT OR Apache-2.0

//! Upcalls: a program that the kernel starts, seen from within that program.
//!
//! The kernel hands it arguments and an environment and nothing else, waits for nothing, and does
//! not look at its exit status. So the program takes down what it was told, in a [`Journal`], and
//! others act on that.
//!
//! # When to choose it
//!
//! When something has to be done although no program is there that listens, and so seldom that
//! a process each time does not matter: `core_pattern`, `modprobe` and request keys work this way.
//! A program that can keep running should rather listen to [`crate::uevent`] or
//! [`crate::netlink`]: it needs no right to run as root, and misses no more than this does.
//!
//! # Contract
//!
//! Drivers start a program by its path only if an administrator has set one. It runs as root, in
//! the initial namespaces, with the root directory as its folder, an environment of a few
//! variables, and standard files that may lead nowhere. It is a child of no program: its parent is
//! the kernel's thread `kthreadd`, [`KERNEL_THREADS`]. What arguments and variables mean is told by
//! the driver.
//!
//! # Minimum kernel
//!
//! Any, with `CONFIG_STATIC_USERMODEHELPER` off, or that program passing the call on.
//!
//! # References
//!
//! `kernel/umh.c`, `include/linux/umh.h`, `core(5)` for the best known of them
//!
//! # Example
//!
//! ```
//! use kernel_channels::upcall::{Call, Journal};
//!
//! // In the program that the kernel starts:
//! let call = Call::new(std::env::args_os(), std::env::vars_os());
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let journal = Journal::open(folder)?;
//! let written = journal.append(&call)?;
//!
//! // In one that acts on it:
//! for record in journal.records()? {
//!     let record = record?;
//!     assert_eq!(record.path, written.path);
//!     assert_eq!(record.call, call);
//! }
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Error, Operation};

/// The process that is the parent of what the kernel starts: `kthreadd`.
pub const KERNEL_THREADS: u32 = 2;

/// The most of a record that is read, in bytes: the kernel hands over a few pages at most.
const LONGEST_RECORD: u64 = 1 << 20;
/// The names of records end with this; others in the folder are no records, or not yet.
const EXTENSION: &str = "call";

/// Records that this process has begun to write.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// What the kernel told the program that it has started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// All arguments, the program's path first.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub environment: BTreeMap<OsString, OsString>,
}

impl Call {
    /// A call from what `std::env` gives to the program.
    pub fn new(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        Self {
            arguments: arguments.into_iter().collect(),
            environment: environment.into_iter().collect(),
        }
    }

    /// An argument that is text, the path being number 0.
    pub fn argument(&self, index: usize) -> Option<&str> {
        self.arguments.get(index)?.to_str()
    }

    /// A variable that is text.
    pub fn variable(&self, key: &str) -> Option<&str> {
        self.environment.get(OsStr::new(key))?.to_str()
    }

    /// A variable that is a decimal number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.variable(key)?.parse().ok()
    }
}

/// A call that was taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The file that it is in.
    pub path: PathBuf,
    /// When it was taken down.
    pub time: SystemTime,
    /// The process that took it down.
    pub process: u32,
    /// The parent of that process; [`KERNEL_THREADS`] if the kernel has started it.
    pub parent: u32,
    /// What it was told.
    pub call: Call,
}

/// A folder with a file for each call.
///
/// A record is written beside its place and then put there, so that there is all of it or nothing,
/// whatever happens; any number of processes may do so at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// A journal in a folder, which only its owner can look at if it has to be made.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be made or is no folder.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        let folder = folder.into();
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map_err(|e| Error::path(Operation::Create, &folder, e))?;
        Ok(Self { folder })
    }

    /// Takes down a call that was made to this process, and returns the record.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it cannot be written.
    pub fn append(&self, call: &Call) -> Result<Record, Error> {
        let (process, time) = (process::id(), SystemTime::now());
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        // Sorted by time; the rest tells apart those of the same moment.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{:020}-{process:010}-{count:06}", since.as_nanos());
        let record = Record {
            path: self.folder.join(&name).with_extension(EXTENSION),
            time: UNIX_EPOCH + since,
            process,
            parent: std::os::unix::process::parent_id(),
            call: call.clone(),
        };
        let draft = self.folder.join(name).with_extension("draft");
        write(&draft, &record.to_bytes())
            .map_err(|e| Error::path(Operation::Write, &draft, e))
            .inspect_err(|_| drop(fs::remove_file(&draft)))?;
        fs::rename(&draft, &record.path)
            .map_err(|e| Error::path(Operation::Create, &record.path, e))?;
        Ok(record)
    }

    /// All records, in the order of their times. Those are of a clock that can be set: a record that
    /// was taken down after it was set back may come before older ones.
    ///
    /// What cannot be read is an error in its place, and does not hide the others: [`Error::Value`]
    /// for a record that is damaged, [`Error::Path`] for one that is no regular file, has more than
    /// a megabyte (`EFBIG`) or has just been removed (`ENOENT`).
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when the folder cannot be read.
    pub fn records(&self) -> Result<Vec<Result<Record, Error>>, Error> {
        let failed = |e| Error::path(Operation::List, &self.folder, e);
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension() == Some(EXTENSION.as_ref()) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths.iter().map(|path| Record::read(path)).collect())
    }

    /// Removes a record that has been acted on.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it is not there any more.
    pub fn remove(&self, record: &Record) -> Result<(), Error> {
        fs::remove_file(&record.path).map_err(|e| Error::path(Operation::Write, &record.path, e))
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    // On the disk before the name is, or a crash could leave the name alone.
    file.sync_all()
}

/// Reads a file that anybody may have put there: a pipe is not waited for, and a file without an end
/// is not read to it.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    let options = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        let reason = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let mut bytes = Vec::new();
    let length = file.take(LONGEST_RECORD + 1).read_to_end(&mut bytes)?;
    if length as u64 > LONGEST_RECORD {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(bytes)
}

impl Record {
    /// One field after the other, each ended by a zero byte, which none contains.
    fn to_bytes(&self) -> Vec<u8> {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut bytes = Vec::new();
        let mut field = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(value);
            bytes.push(0);
        };
        field("time_ns", since.as_nanos().to_string().as_bytes());
        field("process", self.process.to_string().as_bytes());
        field("parent", self.parent.to_string().as_bytes());
        for argument in &self.call.arguments {
            field("argument", argument.as_bytes());
        }
        for (key, value) in &self.call.environment {
            field(
                "variable",
                &[key.as_bytes(), b"=", value.as_bytes()].concat(),
            );
        }
        field("end", b"");
        bytes
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let failed = |e| Error::path(Operation::Read, path, e);
        let bytes = read(path).map_err(failed)?;
        Self::parse(path, &bytes).ok_or_else(|| Error::Value {
            path: path.to_owned(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            expected: "the record of an upcall",
        })
    }

    fn parse(path: &Path, bytes: &[u8]) -> Option<Self> {
        let (mut time, mut process, mut parent) = (None, None, None);
        let mut call = Call::default();
        let mut fields = bytes.split(|byte| *byte == 0);
        let is_whole = loop {
            let field = fields.next()?;
            let (name, value) = split(field)?;
            let text = std::str::from_utf8(value);
            match name {
                b"time_ns" => {
                    let nanoseconds: u64 = text.ok()?.parse().ok()?;
                    time = Some(UNIX_EPOCH + Duration::from_nanos(nanoseconds));
                }
                b"process" => process = Some(text.ok()?.parse().ok()?),
                b"parent" => parent = Some(text.ok()?.parse().ok()?),
                b"argument" => call.arguments.push(OsString::from_vec(value.to_vec())),
                b"variable" => {
                    let (key, value) = split(value)?;
                    let (key, value) = (key.to_vec(), value.to_vec());
                    let (key, value) = (OsString::from_vec(key), OsString::from_vec(value));
                    call.environment.insert(key, value);
                }
                b"end" => break fields.next() == Some(b"") && fields.next().is_none(),
                _ => return None,
            }
        };
        is_whole.then_some(Self {
            path: path.to_owned(),
            time: time?,
            process: process?,
            parent: parent?,
            call,
        })
    }
}

/// What is before and behind the first `=`.
fn split(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = field.iter().position(|byte| *byte == b'=')?;
    Some((&field[..at], &field[at + 1..]))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn call(arguments: &[&str], environment: &[(&str, &str)]) -> Call {
        let environment = environment.iter().map(|(k, v)| (k.into(), v.into()));
        Call::new(arguments.iter().map(OsString::from), environment)
    }

    /// All records of a journal in which none is damaged.
    fn whole(journal: &Journal) -> Vec<Record> {
        let records = journal.records().unwrap().into_iter();
        records.map(Result::unwrap).collect()
    }

    /// The error in the place of the only record.
    fn damaged(journal: &Journal) -> Error {
        let mut records = journal.records().unwrap();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0).unwrap_err()
    }

    fn stall() -> Call {
        call(
            &["/sbin/helper", "upcall", "copier0", "stalled", "17"],
            &[("HOME", "/"), ("COPIER_SEQUENCE", "17"), ("EMPTY", "")],
        )
    }

    #[test]
    fn what_the_kernel_tells_can_be_asked_for() {
        let call = stall();
        assert_eq!(call.argument(2), Some("copier0"));
        assert_eq!(call.argument(5), None);
        assert_eq!(call.variable("HOME"), Some("/"));
        assert_eq!(call.variable("EMPTY"), Some(""));
        assert_eq!(call.number("COPIER_SEQUENCE"), Some(17));
        assert_eq!(call.number("HOME"), None);
        assert_eq!(call.variable("PATH"), None);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("made/here")).unwrap();
        assert_eq!(whole(&journal), []);
        let odd = Call {
            arguments: vec![OsString::from_vec(vec![0xff, b'=', b'\n']), "".into()],
            environment: [("A".into(), "b=c\nd".into())].into(),
        };
        let written = [
            journal.append(&stall()).unwrap(),
            journal.append(&odd).unwrap(),
        ];
        assert_eq!(whole(&journal), written);
        assert_eq!(written[1].call, odd);
        assert_eq!(written[0].process, process::id());
        assert_ne!(written[0].parent, KERNEL_THREADS);
        journal.remove(&written[0]).unwrap();
        assert_eq!(whole(&journal), written[1..]);
        journal.remove(&written[0]).unwrap_err();
    }

    #[test]
    fn only_the_owner_can_look_at_a_journal() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("journal");
        let journal = Journal::open(&folder).unwrap();
        let record = journal.append(&stall()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&record.path), 0o600);
    }

    #[test]
    fn many_write_at_the_same_time_and_readers_see_whole_records_only() {
        let folder = tempfile::tempdir().unwrap();
        let journal = &Journal::open(folder.path()).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    for _ in 0..20 {
                        journal.append(&stall()).unwrap();
                    }
                });
            }
            for _ in 0..20 {
                let records = whole(journal);
                assert!(records.iter().all(|record| record.call == stall()));
            }
        });
        assert_eq!(whole(journal).len(), 80);
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 80, "a draft was left");
    }

    #[test]
    fn a_record_that_is_cut_short_or_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let path = journal.append(&stall()).unwrap().path;
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let error = damaged(&journal);
            assert!(matches!(error, Error::Value { .. }), "{length} bytes");
        }
        for more in [&b"x"[..], b"\0", b"end=\0"] {
            fs::write(&path, [&bytes, more].concat()).unwrap();
            damaged(&journal);
        }
        let file = fs::File::create(&path).unwrap();
        file.set_len(LONGEST_RECORD + 1).unwrap();
        assert_eq!(damaged(&journal).raw_os_error(), Some(libc::EFBIG));
        file.set_len(LONGEST_RECORD).unwrap();
        assert!(matches!(damaged(&journal), Error::Value { .. }));
    }

    #[test]
    fn what_is_no_record_hides_none_and_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let record = journal.append(&stall()).unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("0.call"), "garbage").unwrap();
        fs::create_dir(path("1.call")).unwrap();
        let pipe = nix::unistd::mkfifo(&path("2.call"), nix::sys::stat::Mode::S_IRWXU);
        pipe.unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("3.call")).unwrap();
        std::os::unix::fs::symlink(&record.path, path("4.call")).unwrap();
        std::os::unix::net::UnixListener::bind(path("5.call")).unwrap();

        let (sender, receiver) = std::sync::mpsc::channel();
        let reader = journal.clone();
        // Should it wait, the test does not.
        thread::spawn(move || sender.send(reader.records()));
        let records = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        let (whole, others): (Vec<_>, Vec<_>) =
            records.unwrap().into_iter().partition(Result::is_ok);
        let whole: Vec<_> = whole.into_iter().map(Result::unwrap).collect();
        assert_eq!(whole, [record]);
        let others = others.into_iter().map(Result::unwrap_err);
        let errors: Vec<_> = others.map(|e| (e.to_string(), e.raw_os_error())).collect();
        let cannot_read = |name, errno| (format!("cannot read {}", path(name).display()), errno);
        assert_eq!(
            errors[0].0,
            format!(
                "{} holds \"garbage\" instead of the record of an upcall",
                path("0.call").display()
            )
        );
        assert_eq!(
            errors[1..],
            [
                cannot_read("1.call", None),
                cannot_read("2.call", None),
                cannot_read("3.call", Some(libc::ELOOP)),
                cannot_read("4.call", Some(libc::ELOOP)),
                cannot_read("5.call", Some(libc::ENXIO)),
            ]
        );
    }

    #[test]
    fn records_come_in_the_order_of_their_times() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let before = SystemTime::now();
        let record = journal.append(&stall()).unwrap();
        let after = SystemTime::now();
        assert!((before..=after).contains(&record.time), "{record:?}");

        // As if the clock had been set back since.
        let (time, name) = (UNIX_EPOCH + Duration::from_nanos(17), format!("{:020}", 17));
        let late = Record {
            path: folder.path().join(name).with_extension(EXTENSION),
            time,
            ..record.clone()
        };
        write(&late.path, &late.to_bytes()).unwrap();
        assert_eq!(whole(&journal), [late, record]);
    }

    #[test]
    fn a_journal_that_cannot_be_written_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Journal::open(file.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot create {}", file.path().display())
        );
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        drop(folder);
        let error = journal.append(&stall()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
