// SPDX-License-Identifier: MIT OR Apache-2.0

//! What happens to files, and who does it, by fanotify.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};

use super::Changes;
use super::event::Raw;
use crate::{Error, Interest, Operation, poll};

pub(super) const OBJECT: &str = "a fanotify group";
/// Enough for any event, and for several of most.
const BUFFER_BYTES: usize = 4096;

/// Listens to what happens to any number of files and folders, and learns who does it.
#[derive(Debug)]
pub struct Listener {
    group: Group,
    /// Read already, but not handed out.
    events: VecDeque<Read>,
}

/// What has happened. Equal events of one process in a row may be one.
#[derive(Debug)]
pub struct Event {
    /// What it was; several things if they happened before this was read.
    pub changes: Changes,
    /// To which entry, if it happened to one of a folder.
    pub name: Option<OsString>,
    /// Who did it.
    pub process: Process,
}

/// Who has done or wants something.
#[derive(Debug)]
pub struct Process {
    id: i32,
    descriptor: Option<OwnedFd>,
}

impl Process {
    /// The number of the process; 0 if it is one of a namespace that is not visible from here.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// A descriptor of the process, which cannot come to mean another one; none if it has ended.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }
}

impl Listener {
    /// One that listens to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `fanotify_init(2)` returned: `EPERM` without `CAP_SYS_ADMIN`,
    /// `EINVAL` for a kernel that cannot tell names or processes.
    pub fn new() -> Result<Self, Error> {
        let names = InitFlags::from_bits_retain(libc::FAN_REPORT_DFID_NAME);
        Ok(Self {
            group: Group::new(InitFlags::FAN_CLASS_NOTIF | names)?,
            events: VecDeque::new(),
        })
    }

    /// Listens to some changes of a file, or of a folder and its entries, besides those that it
    /// listens to already.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] with what `fanotify_mark(2)` returned: `ENOENT`, `EOPNOTSUPP` for a file
    /// system that has no handles of files, `EINVAL` for changes that fanotify does not know.
    pub fn add(&self, path: impl AsRef<Path>, changes: Changes) -> Result<(), Error> {
        let mask = MaskFlags::from_bits_retain(changes.bits().into());
        // As inotify, which tells of entries, and of those that are folders, without being asked to.
        let more = MaskFlags::FAN_EVENT_ON_CHILD | MaskFlags::FAN_ONDIR;
        self.group.add(path.as_ref(), mask | more)
    }

    /// Waits for the next event; `None` when the time ran out. Without a timeout it waits for ever.
    ///
    /// # Errors
    ///
    /// [`Error::QueueOverflow`] when this program was too slow, after which it may go on, but has to
    /// look for itself what is there; [`Error::Object`] when the events cannot be read.
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        if self.events.is_empty() {
            let mut buffer = [0; BUFFER_BYTES];
            self.events.extend(self.group.read(&mut buffer, timeout)?);
        }
        let Some(read) = self.events.pop_front() else {
            return Ok(None);
        };
        Ok(Some(Event {
            changes: read.changes()?,
            name: read.name,
            process: read.process,
        }))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

/// An event whose descriptors are owned.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) mask: u64,
    pub(super) file: Option<OwnedFd>,
    pub(super) process: Process,
    name: Option<OsString>,
}

impl Read {
    /// What has happened, unless it is that events were lost.
    pub(super) fn changes(&self) -> Result<Changes, Error> {
        if self.mask & libc::FAN_Q_OVERFLOW != 0 {
            return Err(Error::QueueOverflow { object: OBJECT });
        }
        // The upper half has nothing that was asked for.
        Ok(Changes::from_bits(self.mask as u32))
    }
}

/// What listener and guard have in common.
#[derive(Debug)]
pub(super) struct Group {
    fanotify: Fanotify,
}

impl Group {
    pub(super) fn new(flags: InitFlags) -> Result<Self, Error> {
        let common = InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK | InitFlags::FAN_REPORT_PIDFD;
        let files = EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC | EventFFlags::O_NONBLOCK;
        let fanotify = Fanotify::init(common | flags, files);
        let fanotify = fanotify.map_err(|e| Error::object(Operation::Create, OBJECT, e.into()))?;
        Ok(Self { fanotify })
    }

    pub(super) fn add(&self, path: &Path, mask: MaskFlags) -> Result<(), Error> {
        let flags = MarkFlags::FAN_MARK_ADD;
        let marked = self.fanotify.mark(flags, mask, AT_FDCWD, Some(path));
        marked.map_err(|e| Error::path(Operation::Watch, path, e.into()))
    }

    /// Waits for events and reads as many as there are and the buffer takes; none when the time ran
    /// out.
    pub(super) fn read(
        &self,
        buffer: &mut [u8],
        timeout: Option<Duration>,
    ) -> Result<Vec<Read>, Error> {
        let failed = |source| Error::object(Operation::Read, OBJECT, source);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if poll(&self.fanotify, Interest::READABLE, left)?.is_none() {
                return Ok(Vec::new());
            }
            match nix::unistd::read(&self.fanotify, buffer) {
                Ok(length) => {
                    let events = take(&buffer[..length]);
                    return events.ok_or_else(|| failed(io::ErrorKind::InvalidData.into()));
                }
                // Another thread was faster.
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(e) => return Err(failed(e.into())),
            }
        }
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fanotify.as_fd()
    }
}

/// Takes over what a read of a group has just returned; `None` when that cannot be understood, which
/// leaves its descriptors open.
fn take(mut bytes: &[u8]) -> Option<Vec<Read>> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let (raw, rest) = Raw::parse(bytes)?;
        events.push(Read {
            mask: raw.mask,
            file: raw.file.map(owned),
            process: Process {
                id: raw.process,
                descriptor: raw.pidfd.map(owned),
            },
            name: raw.name,
        });
        bytes = rest;
    }
    Some(events)
}

fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel has opened it for the event that was just read, which only `take` sees, and
    // that sees each event once.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}
