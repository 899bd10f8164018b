// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which system calls a thread may make.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use crate::syscall::Call;
use crate::{Error, Operation};

/// Which argument of `ioctl(2)` the request is.
const REQUEST: u8 = 1;

const OBJECT: &str = "a filter of system calls";

/// What Rust's library needs to take memory, to lock, to return from signals and to end.
pub const RUNTIME: &[Call] = &[
    Call::BRK,
    Call::CLOCK_GETTIME,
    Call::CLOSE,
    Call::EXIT,
    Call::EXIT_GROUP,
    Call::FUTEX,
    Call::GETRANDOM,
    Call::GETTID,
    Call::MADVISE,
    Call::MMAP,
    Call::MPROTECT,
    Call::MREMAP,
    Call::MUNMAP,
    Call::RESTART_SYSCALL,
    Call::RT_SIGPROCMASK,
    Call::RT_SIGRETURN,
    Call::SCHED_YIELD,
    Call::SIGALTSTACK,
];

/// What becomes of a call that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process is ended, as by a signal `SIGSYS` that cannot be caught, and the kernel logs which
    /// call it was. `SECCOMP_RET_KILL_PROCESS`
    Kill,
    /// The call is not made, and returns this error number. `SECCOMP_RET_ERRNO`
    Errno(u16),
    /// The call is not made, and the thread gets a signal `SIGSYS` that tells which it was.
    /// `SECCOMP_RET_TRAP`
    Trap,
    /// The call is made, and the kernel logs which it was: to find out what a program needs.
    /// `SECCOMP_RET_LOG`
    Log,
}

impl Action {
    fn compiled(self) -> SeccompAction {
        match self {
            Self::Kill => SeccompAction::KillProcess,
            Self::Errno(errno) => SeccompAction::Errno(errno.into()),
            Self::Trap => SeccompAction::Trap,
            Self::Log => SeccompAction::Log,
        }
    }
}

/// Which system calls are allowed. What is not named is not.
#[derive(Clone, Debug)]
pub struct Filter {
    otherwise: Action,
    /// Each call, and with which values of one argument; none: with any arguments.
    allowed: BTreeMap<Call, Vec<(u8, u32)>>,
}

impl Filter {
    /// One that allows nothing.
    pub fn new(otherwise: Action) -> Self {
        Self {
            otherwise,
            allowed: BTreeMap::new(),
        }
    }

    /// Allows calls, with whatever arguments.
    #[must_use]
    pub fn allow(mut self, calls: &[Call]) -> Self {
        for call in calls {
            self.allowed.insert(*call, Vec::new());
        }
        self
    }

    /// Allows a call when the lower 32 bits of one of its arguments, the first being number 0, have
    /// one of these values; besides what was allowed before.
    #[must_use]
    pub fn allow_with(mut self, call: Call, argument: u8, values: &[u32]) -> Self {
        let known = self.allowed.get(&call).is_some_and(Vec::is_empty);
        if !known && !values.is_empty() {
            let allowed = self.allowed.entry(call).or_default();
            allowed.extend(values.iter().map(|value| (argument, *value)));
        }
        self
    }

    /// Allows `ioctl(2)` with these request codes, on whatever file.
    #[must_use]
    pub fn allow_requests(self, codes: &[u32]) -> Self {
        self.allow_with(Call::IOCTL, REQUEST, codes)
    }

    /// Makes a program of it, for the kernel to run before each call.
    ///
    /// # Errors
    ///
    /// [`Error::Object`]: with `EINVAL` for an argument that no call has, `E2BIG` when there are more
    /// conditions than a filter has room for.
    pub fn compile(&self) -> Result<Program, Error> {
        let failed = |error: BackendError| {
            let source = match error {
                BackendError::FilterTooLarge(_) => io::Error::from_raw_os_error(libc::E2BIG),
                BackendError::InvalidArgumentNumber => io::Error::from_raw_os_error(libc::EINVAL),
                other => io::Error::other(other),
            };
            Error::object(Operation::Compile, OBJECT, source)
        };
        let mut rules = BTreeMap::new();
        for (call, values) in &self.allowed {
            let mut of_call = Vec::new();
            for (argument, value) in values {
                let (size, equal) = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq);
                let value = u64::from(*value);
                let condition = SeccompCondition::new(*argument, size, equal, value);
                let condition = condition.map_err(failed)?;
                of_call.push(SeccompRule::new(vec![condition]).map_err(failed)?);
            }
            #[allow(
                clippy::unnecessary_cast,
                clippy::cast_lossless,
                reason = "numbers of calls are as long as a word"
            )]
            rules.insert(call.number() as i64, of_call);
        }
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(failed)?;
        let otherwise = self.otherwise.compiled();
        let filter = SeccompFilter::new(rules, otherwise, SeccompAction::Allow, arch);
        let code = filter.and_then(BpfProgram::try_from).map_err(failed)?;
        Ok(Program { code })
    }
}

/// A filter that the kernel can take. It is the caller's to test it before others rely on it.
#[derive(Clone)]
pub struct Program {
    code: BpfProgram,
}

impl Program {
    /// Filters the calls of this thread from now on, and of all that it starts. They gain no rights
    /// by starting a program, either. `PR_SET_NO_NEW_PRIVS`
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what `seccomp(2)` returned: `EINVAL` for a kernel without filters.
    pub fn restrict_this_thread(&self) -> Result<(), Error> {
        seccompiler::apply_filter(&self.code).map_err(refused)
    }

    /// The same for all threads of this process. `SECCOMP_FILTER_FLAG_TSYNC`
    ///
    /// # Errors
    ///
    /// As [`Self::restrict_this_thread`], and with `ESRCH` when a thread has a filter of its own.
    pub fn restrict_all_threads(&self) -> Result<(), Error> {
        seccompiler::apply_filter_all_threads(&self.code).map_err(refused)
    }

    /// How many instructions it has: what it costs each call.
    pub fn instructions(&self) -> usize {
        self.code.len()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.code.len()).finish()
    }
}

fn refused(error: seccompiler::Error) -> Error {
    let source = match error {
        seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => source,
        seccompiler::Error::ThreadSync(_) => io::Error::from_raw_os_error(libc::ESRCH),
        other => io::Error::other(other),
    };
    Error::object(Operation::Set, OBJECT, source)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::num::NonZeroU32;
    use std::thread;

    use super::*;
    use crate::syscall::{self, Flags};

    /// What a thread returns that is confined to what a filter allows.
    fn confined<T: Send + 'static>(filter: &Filter, call: fn() -> T) -> T {
        let program = filter.compile().unwrap();
        let thread = thread::spawn(move || {
            program.restrict_this_thread().unwrap();
            call()
        });
        thread.join().unwrap()
    }

    #[test]
    fn what_is_not_allowed_returns_the_error_number() {
        let filter = Filter::new(Action::Errno(77)).allow(RUNTIME);
        let refused = confined(&filter, || File::open("/proc/version").unwrap_err());
        assert_eq!(refused.raw_os_error(), Some(77));
        File::open("/proc/version").unwrap();
    }

    #[test]
    fn a_call_is_allowed_by_an_argument() {
        // The flags are argument 5.
        let filter = Filter::new(Action::Errno(78)).allow(RUNTIME);
        let filter = filter
            .allow(&[Call::OPENAT])
            .allow_with(Call::PREADV2, 5, &[0, 8]);
        let [none, allowed, forbidden, others] = confined(&filter, || {
            let file = File::open("/proc/version").unwrap();
            [0, 8, 1, 9].map(|flags| {
                let read = syscall::read(&file, &mut [0], None, Flags::from_bits(flags));
                read.err().and_then(|error| error.raw_os_error())
            })
        });
        assert_eq!(none, None);
        assert_ne!(allowed, Some(78), "it has come to the file");
        assert_eq!((forbidden, others), (Some(78), Some(78)));
    }

    #[test]
    fn a_call_that_is_allowed_at_all_is_allowed_with_any_argument() {
        let first = Filter::new(Action::Kill).allow(&[Call::IOCTL]);
        let second = Filter::new(Action::Kill)
            .allow_requests(&[1])
            .allow(&[Call::IOCTL]);
        let plain = first.compile().unwrap().instructions();
        let first = first.allow_requests(&[1]).compile().unwrap();
        assert_eq!(first.instructions(), plain);
        assert_eq!(second.compile().unwrap().instructions(), plain);
        let none = Filter::new(Action::Kill).allow_requests(&[]);
        assert!(none.allowed.is_empty());
    }

    #[test]
    fn what_cannot_be_compiled_is_refused() {
        let filter = Filter::new(Action::Kill).allow_with(Call::IOCTL, 6, &[1]);
        let error = filter.compile().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        let values: Vec<_> = (0..5000).collect();
        let filter = Filter::new(Action::Kill).allow_with(Call::IOCTL, 1, &values);
        let error = filter.compile().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::E2BIG));
        assert_eq!(error.to_string(), "cannot compile a filter of system calls");
    }

    #[test]
    fn a_filter_lasts_and_only_narrows() {
        let narrow = Filter::new(Action::Errno(1))
            .allow(RUNTIME)
            .allow(&[Call::GETPPID]);
        let refused = confined(&narrow, || {
            syscall::floor(NonZeroU32::MIN);
            // One that allows more takes a call that is not allowed.
            Filter::new(Action::Log)
                .compile()
                .unwrap()
                .restrict_this_thread()
        });
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(1));
        assert!(fs::metadata("/proc/self").is_ok());
    }
}
