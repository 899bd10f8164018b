// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong: which operation failed on which object, and why.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::netlink::Failure;
use crate::uevent::Malformed;

/// An operation that failed, the object it was attempted on, and the cause.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a file that was named by its path.
    #[error("cannot {operation} {}", path.display())]
    Path {
        /// What was attempted.
        operation: Operation,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// An operation on an open file of which only the descriptor is known.
    #[error("cannot {operation} file descriptor {descriptor}")]
    Descriptor {
        /// What was attempted.
        operation: Operation,
        /// On which open file.
        descriptor: i32,
        /// Why it failed.
        source: io::Error,
    },
    /// An operation on something that has no name.
    #[error("cannot {operation} {object}")]
    Object {
        /// What was attempted.
        operation: Operation,
        /// On what, for example `an eventfd`.
        object: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A system call that was made by its number.
    #[error("system call {call} failed")]
    SystemCall {
        /// Its name.
        call: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A driver refused an ioctl.
    #[error("ioctl request {request:#010x} failed on file descriptor {descriptor}")]
    Request {
        /// The request code.
        request: u32,
        /// On which open file.
        descriptor: i32,
        /// Why it failed.
        source: io::Error,
    },
    /// An ioctl was not attempted, because its code announces another size than its argument has.
    #[error("ioctl request {request:#010x} announces {announced} bytes, its argument has {actual}")]
    ArgumentSize {
        /// The request code.
        request: u32,
        /// The size that the code announces, in bytes.
        announced: usize,
        /// The size of the argument, in bytes.
        actual: usize,
    },
    /// An access outside of a mapping.
    #[error("{length} bytes at offset {offset} do not lie within a mapping of {mapped} bytes")]
    Range {
        /// Where the access begins, in bytes.
        offset: usize,
        /// How long it is, in bytes.
        length: usize,
        /// How long the mapping is, in bytes.
        mapped: usize,
    },
    /// A file holds a text that is not what it should be.
    #[error("{} holds {text:?} instead of {expected}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// What it holds.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A file system that is needed is not mounted.
    #[error("{filesystem} is not mounted")]
    NotMounted {
        /// Its type as in `/proc/filesystems`.
        filesystem: &'static str,
    },
    /// Events came faster than they were read, and the kernel dropped some.
    #[error("events of {object} were lost because its queue was full")]
    QueueOverflow {
        /// Whose queue, for example `an inotify instance`.
        object: &'static str,
    },
    /// An operation on the perf event of a tracepoint.
    #[error("cannot {operation} the perf event of tracepoint {event}")]
    PerfEvent {
        /// What was attempted.
        operation: Operation,
        /// Of which tracepoint, as `system:name`.
        event: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Events came faster than they were read, and the kernel dropped some.
    #[error("{count} samples of tracepoint {event} were lost because the ring buffer was full")]
    SamplesLost {
        /// How many.
        count: u64,
        /// Of which tracepoint, as `system:name`.
        event: String,
    },
    /// Records came faster than they were read, and the kernel dropped the oldest.
    #[error(
        "{}records of {} were lost because the buffer of processor {cpu} was full",
        count.map_or_else(String::new, |count| format!("{count} ")),
        instance.display()
    )]
    RecordsLost {
        /// How many; none when the kernel does not know.
        count: Option<u64>,
        /// The processor that made them.
        cpu: u32,
        /// The directory of the instance of tracefs that was to keep them.
        instance: PathBuf,
    },
    /// A tracepoint's record does not hold what was looked for in it.
    #[error("no number {field} in a record of {length} bytes of tracepoint {event}")]
    Field {
        /// Which field.
        field: String,
        /// Of which tracepoint, as `system:name`.
        event: String,
        /// How long the record is, in bytes.
        length: usize,
    },
    /// An operation of `bpf(2)`, or on what it has made.
    #[error("cannot {operation} the BPF {object} {name}")]
    Bpf {
        /// What was attempted.
        operation: Operation,
        /// On what kind of object: a map, a program, BTF.
        object: &'static str,
        /// Which one.
        name: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel refused a program, and its verifier has said why.
    #[error("the kernel refused the BPF program {program}: {log}")]
    Verifier {
        /// Which program.
        program: String,
        /// What the verifier said; the last lines tell what is wrong.
        log: String,
        /// The error that goes with it.
        source: io::Error,
    },
    /// A module does not offer a function to BPF programs.
    #[error("the module {module} has no function {function} for BPF programs")]
    Function {
        /// Which function.
        function: String,
        /// Which module.
        module: String,
    },
    /// The kernel describes its types in a way that is not known here.
    #[error("{} is no BTF, or has types that this does not know", path.display())]
    Btf {
        /// Where it describes them.
        path: PathBuf,
    },
    /// An operation on the socket that receives uevents.
    #[error("cannot {operation} the kernel's uevent socket")]
    UeventSocket {
        /// What was attempted.
        operation: Operation,
        /// Why it failed.
        source: io::Error,
    },
    /// Events came faster than they were read, and the kernel dropped some.
    #[error("uevents were lost because the socket's buffer was full")]
    UeventsLost,
    /// The kernel sent something that is not a uevent.
    #[error("the kernel sent a malformed uevent")]
    Uevent(#[source] Malformed),
    /// Something with a generic netlink family.
    #[error("generic netlink family {family}")]
    Netlink {
        /// The family's name.
        family: String,
        /// What went wrong.
        source: Box<Failure>,
    },
}

impl Error {
    pub(crate) fn path(operation: Operation, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Path {
            operation,
            path,
            source,
        }
    }

    pub(crate) fn object(operation: Operation, object: &'static str, source: io::Error) -> Self {
        Self::Object {
            operation,
            object,
            source,
        }
    }

    pub(crate) fn netlink(family: &str, source: Failure) -> Self {
        Self::Netlink {
            family: family.to_owned(),
            source: Box::new(source),
        }
    }

    pub(crate) fn bpf(
        operation: Operation,
        object: &'static str,
        name: &str,
        source: io::Error,
    ) -> Self {
        let name = name.to_owned();
        Self::Bpf {
            operation,
            object,
            name,
            source,
        }
    }

    /// The error number that the kernel returned, if this error comes from the kernel.
    #[doc(alias = "errno")]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Path { source, .. }
            | Self::Descriptor { source, .. }
            | Self::Object { source, .. }
            | Self::SystemCall { source, .. }
            | Self::Request { source, .. }
            | Self::PerfEvent { source, .. }
            | Self::Bpf { source, .. }
            | Self::Verifier { source, .. }
            | Self::UeventSocket { source, .. } => source.raw_os_error(),
            Self::Netlink { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// `open(2)` or `socket(2)`.
    Open,
    /// `fstat(2)`.
    Identify,
    /// `read(2)`, `recvfrom(2)` or the like.
    Read,
    /// `write(2)`.
    Write,
    /// `poll(2)`.
    Poll,
    /// `mmap(2)`.
    Map,
    /// `inotify_add_watch(2)` or `fanotify_mark(2)`.
    Watch,
    /// `inotify_rm_watch(2)`.
    Remove,
    /// `bind(2)` to a multicast group.
    Join,
    /// `getdents64(2)`.
    List,
    /// `mkdir(2)`, which makes an instance of tracefs, `bpf(2)`, which makes a map, `eventfd(2)` or
    /// the like.
    Create,
    /// Making of a filter what the kernel takes.
    Compile,
    /// `ioctl(2)` with `PERF_EVENT_IOC_SET_BPF`, or `bpf(2)` with `BPF_RAW_TRACEPOINT_OPEN`.
    Attach,
    /// `bpf(2)` with `BPF_PROG_TEST_RUN`.
    Run,
    /// `ioctl(2)` with `PERF_EVENT_IOC_ENABLE`.
    Enable,
    /// `fcntl(2)`.
    Control,
    /// `pthread_sigmask(3)`, `timerfd_settime(2)`, `epoll_ctl(2)`, `seccomp(2)` or
    /// `landlock_restrict_self(2)`.
    Set,
    /// `futex(2)` with `FUTEX_WAIT_BITSET`, or `epoll_wait(2)`.
    Wait,
    /// `futex(2)` with `FUTEX_WAKE`.
    Wake,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Identify => "identify",
            Self::Read => "read",
            Self::Write => "write",
            Self::Poll => "poll",
            Self::Map => "map",
            Self::Watch => "watch",
            Self::Remove => "remove",
            Self::Join => "join the multicast group of",
            Self::List => "list",
            Self::Create => "create",
            Self::Compile => "compile",
            Self::Attach => "attach",
            Self::Run => "run",
            Self::Enable => "enable",
            Self::Control => "control",
            Self::Set => "set",
            Self::Wait => "wait for",
            Self::Wake => "wake up",
        })
    }
}
