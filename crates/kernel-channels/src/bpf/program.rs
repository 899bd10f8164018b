// SPDX-License-Identifier: MIT OR Apache-2.0

//! Programs that the verifier has accepted.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::{Code, Hook, system_call};
use crate::tracepoint::{Event, open_first};
use crate::{Error, Operation};

const PROG_TYPE_TRACEPOINT: u32 = 5;
const PROG_TYPE_LSM: u32 = 29;
const PROG_TYPE_SYSCALL: u32 = 31;
/// `BPF_LSM_MAC`, what programs of that type are for.
const ATTACH_LSM: u32 = 27;
const F_SLEEPABLE: u32 = 1 << 4;
/// Enough for what the verifier says of a program that it refuses.
const LOG_BYTES: usize = 1 << 20;

/// When a program runs, and what R1 leads to when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At a tracepoint, with its record.
    Tracepoint,
    /// When it is called by [`Program::run`], with the memory that it is called with.
    Call,
    /// When the kernel asks its security modules, with the arguments of the hook, 64 bits each. What
    /// the program returns is the answer: 0, or a negative error number.
    Hook(Hook),
}

/// A program that the kernel has compiled. It goes when this and all that it is attached to have
/// been dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    program: OwnedFd,
}

impl Program {
    /// Has the verifier look at a program, and loads it.
    ///
    /// # Errors
    ///
    /// [`Error::Verifier`] with what the verifier says, or with nothing when it was not asked:
    /// `EPERM` without `CAP_BPF` and `CAP_PERFMON`.
    pub fn load(name: &str, kind: Kind, code: &Code<'_>) -> Result<Self, Error> {
        let refused = |log: String, source| Error::Verifier {
            program: name.to_owned(),
            log,
            source,
        };
        let invalid = || std::io::Error::from_raw_os_error(libc::EINVAL);
        let instructions = code
            .finish()
            .ok_or_else(|| refused("a jump leads to nowhere".to_owned(), invalid()))?;
        // The kernel itself comes first, and needs no descriptor.
        let descriptors: Vec<_> = std::iter::once(0).chain(code.modules.clone()).collect();
        let (kind, flags, attach_type, attach_function) = match kind {
            Kind::Tracepoint => (PROG_TYPE_TRACEPOINT, 0, 0, 0),
            Kind::Call => (PROG_TYPE_SYSCALL, F_SLEEPABLE, 0, 0),
            Kind::Hook(hook) => (PROG_TYPE_LSM, 0, ATTACH_LSM, hook.function()),
        };
        let load = system_call::Load {
            kind,
            flags,
            attach_type,
            attach_function,
            name,
            instructions: &instructions,
            descriptors: &descriptors,
        };
        // The log costs time, and most programs are accepted.
        let program = system_call::load(&load, &mut []).or_else(|_| {
            let mut log = vec![0; LOG_BYTES];
            system_call::load(&load, &mut log).map_err(|source| {
                let length = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
                let log = String::from_utf8_lossy(&log[..length]);
                refused(log.trim_end().to_owned(), source)
            })
        })?;
        let name = name.to_owned();
        Ok(Self { name, program })
    }

    /// Has a program of the kind [`Kind::Tracepoint`] run each time a tracepoint is passed, on all
    /// processors, until the result is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::PerfEvent`] when the tracepoint cannot be opened, and [`Error::Bpf`] when the
    /// program is of another kind or accesses more than the tracepoint's record (`EACCES`).
    pub fn attach(&self, event: &Event) -> Result<Attached, Error> {
        let mut counter = open_first(event)?;
        counter
            .set_bpf(self.program.as_raw_fd())
            .map_err(|source| Error::bpf(Operation::Attach, "program", &self.name, source))?;
        let (event, program) = (event.to_string(), self.name.clone());
        Ok(Attached {
            _counter: counter,
            event,
            program,
        })
    }

    /// Has a program of the kind [`Kind::Hook`] answer from now on, until the result is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Bpf`] with what `bpf(2)` returned: `EINVAL` when the program is of another kind.
    pub fn answer(&self) -> Result<Answering, Error> {
        Answering::of(std::slice::from_ref(self))
    }

    /// Runs a program of the kind [`Kind::Call`] once, on memory that it may read and change, and
    /// returns what it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Bpf`] with what `bpf(2)` returned: `EINVAL` when the program accesses more than
    /// that.
    pub fn run(&self, context: &mut [u8]) -> Result<u32, Error> {
        system_call::run(self.program.as_fd(), context)
            .map_err(|source| Error::bpf(Operation::Run, "program", &self.name, source))
    }
}

/// A program at a hook, or several, each at its own, until this is dropped.
#[derive(Debug)]
#[must_use = "the program is detached at once when this is dropped"]
pub struct Answering {
    _links: Vec<OwnedFd>,
}

impl Answering {
    pub(super) fn of(programs: &[Program]) -> Result<Self, Error> {
        let attach = |program: &Program| {
            system_call::attach(program.program.as_fd())
                .map_err(|source| Error::bpf(Operation::Attach, "program", &program.name, source))
        };
        let links = programs.iter().map(attach).collect::<Result<_, _>>()?;
        Ok(Self { _links: links })
    }
}

/// A program at a tracepoint, until this is dropped.
#[must_use = "the program is detached at once when this is dropped"]
pub struct Attached {
    _counter: perf_event::Counter,
    event: String,
    program: String,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = (&self.program, &self.event);
        f.debug_tuple("Attached").field(&parts).finish()
    }
}
