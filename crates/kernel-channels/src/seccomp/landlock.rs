// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which files a thread may open, and to do what.

use std::io;
use std::ops::BitOr;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, make_bitflags,
};

use crate::syscall::{self, Call};
use crate::{Error, Operation};

const OBJECT: &str = "a Landlock ruleset";
/// The first version with the right to send ioctl requests; all rights of it are handled here.
const VERSION: ABI = ABI::V5;

/// The version of Landlock that the kernel has; none if it has not or has switched it off.
///
/// # Errors
///
/// [`Error::SystemCall`] with what `landlock_create_ruleset(2)` returned for another reason.
pub fn version() -> Result<Option<u32>, Error> {
    const CREATE_RULESET: Call =
        Call::new("landlock_create_ruleset", libc::SYS_landlock_create_ruleset);
    const ASK_FOR_VERSION: usize = 1;
    // SAFETY: with this flag the call accesses no memory, and creates nothing.
    match unsafe { syscall::call(CREATE_RULESET, [0, 0, ASK_FOR_VERSION, 0, 0, 0]) } {
        Ok(version) => Ok(u32::try_from(version).ok()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOSYS | libc::EOPNOTSUPP) => Ok(None),
            _ => Err(error),
        },
    }
}

/// What may be done to a file, or to all files below a folder. A set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(BitFlags<AccessFs>);

impl Access {
    /// Opening it for reading, and listing folders.
    pub const READ: Self = Self(make_bitflags!(AccessFs::{ReadFile | ReadDir}));
    /// Opening it for writing, and cutting it.
    pub const WRITE: Self = Self(make_bitflags!(AccessFs::{WriteFile | Truncate}));
    /// Sending ioctl requests to it, if it is a device. `LANDLOCK_ACCESS_FS_IOCTL_DEV`
    pub const CONTROL: Self = Self(make_bitflags!(AccessFs::{IoctlDev}));
    /// Executing it.
    pub const EXECUTE: Self = Self(make_bitflags!(AccessFs::{Execute}));
    /// Making, renaming and removing entries of folders, but for nodes of devices.
    pub const CHANGE: Self = Self(
        make_bitflags!(AccessFs::{MakeReg | MakeDir | MakeSym | MakeSock | MakeFifo | RemoveFile | RemoveDir | Refer}),
    );
}

impl BitOr for Access {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is to happen when the kernel cannot enforce all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// It is a failure, and nothing is restricted.
    Required,
    /// The kernel enforces what it can, which [`Enforced`] tells.
    BestEffort,
}

impl Strictness {
    fn level(self) -> CompatLevel {
        match self {
            Self::Required => CompatLevel::HardRequirement,
            Self::BestEffort => CompatLevel::BestEffort,
        }
    }
}

/// How much of it the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    /// All.
    Fully,
    /// Some of it.
    Partly,
    /// Nothing: there is no Landlock.
    NotAtAll,
}

/// Which files may be opened, and to do what. What is not named may not.
#[derive(Debug)]
pub struct Confinement {
    strictness: Strictness,
    allowed: Vec<(PathFd, BitFlags<AccessFs>)>,
}

impl Confinement {
    /// One that allows nothing.
    pub fn new(strictness: Strictness) -> Self {
        Self {
            strictness,
            allowed: Vec::new(),
        }
    }

    /// Allows something to a file, or to a folder and all below. What the path leads to now counts,
    /// whatever comes to it later.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when it leads to nothing; [`Error::SystemCall`] with what `statx(2)` returned.
    pub fn allow(mut self, path: impl AsRef<Path>, access: Access) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |source| Error::path(Operation::Open, path, source);
        let opened = PathFd::new(path).map_err(|error| failed(cause(&error)))?;
        // What was opened: the path may lead to something else by now.
        let mode = u32::from(syscall::identify(&opened)?.mode);
        let is_folder = mode & libc::S_IFMT == libc::S_IFDIR;
        // The others are rights of folders only.
        let rights = match is_folder {
            true => access.0,
            false => access.0 & AccessFs::from_file(VERSION),
        };
        if !rights.is_empty() {
            self.allowed.push((opened, rights));
        }
        Ok(self)
    }

    /// Confines this thread from now on, and all that it starts. They gain no rights by starting a
    /// program, either. `PR_SET_NO_NEW_PRIVS`
    ///
    /// # Errors
    ///
    /// [`Error::Object`] with what the kernel returned: `E2BIG` for the 17th confinement of one
    /// thread; without an error number when it is [`Strictness::Required`] and the kernel cannot.
    pub fn restrict_this_thread(self) -> Result<Enforced, Error> {
        let level = self.strictness.level();
        let restricted = || {
            let ruleset = Ruleset::default().set_compatibility(level);
            let ruleset = ruleset.handle_access(AccessFs::from_all(VERSION))?;
            let mut created = ruleset.create()?;
            for (path, rights) in self.allowed {
                created = created.add_rule(PathBeneath::new(path, rights))?;
            }
            created.restrict_self()
        };
        let status = restricted().map_err(|error: landlock::RulesetError| {
            Error::object(Operation::Set, OBJECT, cause(&error))
        })?;
        Ok(match status.ruleset {
            RulesetStatus::FullyEnforced => Enforced::Fully,
            RulesetStatus::PartiallyEnforced => Enforced::Partly,
            RulesetStatus::NotEnforced => Enforced::NotAtAll,
        })
    }
}

/// What the kernel has returned, or why it was not asked.
fn cause(error: &(dyn std::error::Error + 'static)) -> io::Error {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let errno = error.downcast_ref().and_then(io::Error::raw_os_error);
        if let Some(errno) = errno {
            return io::Error::from_raw_os_error(errno);
        }
        cause = error.source();
    }
    io::Error::new(io::ErrorKind::Unsupported, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::thread;

    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_is_named() {
        let confinement = Confinement::new(Strictness::BestEffort);
        let error = confinement
            .allow("/no/such/file", Access::READ)
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert_eq!(error.to_string(), "cannot open /no/such/file");
    }

    #[test]
    fn a_thread_is_confined_as_far_as_the_kernel_can() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, path) = (folder.path().join("file"), folder.path().to_owned());
        fs::write(&inside, "inside").unwrap();
        let confined = thread::spawn(move || {
            let confinement = Confinement::new(Strictness::BestEffort);
            let confinement = confinement.allow(path, Access::READ).unwrap();
            let enforced = confinement.restrict_this_thread().unwrap();
            let written = File::options().write(true).open(&inside);
            (
                enforced,
                File::open("/proc/version").is_ok(),
                written.is_ok(),
                File::open(inside).is_ok(),
            )
        });
        let (enforced, outside, written, inside) = confined.join().unwrap();
        assert!(inside);
        assert_eq!(outside, enforced == Enforced::NotAtAll);
        assert_eq!(written, enforced == Enforced::NotAtAll);
        assert_eq!(version().unwrap().is_none(), enforced == Enforced::NotAtAll);
        File::open("/proc/version").unwrap();
    }

    #[test]
    fn what_is_required_is_so_of_every_kernel() {
        // The one that this runs on may have all of it, and then shows no difference.
        let levels = [Strictness::Required, Strictness::BestEffort].map(Strictness::level);
        assert_eq!(
            levels,
            [CompatLevel::HardRequirement, CompatLevel::BestEffort]
        );
    }

    #[test]
    fn what_the_kernel_lacks_is_a_failure_if_it_is_required() {
        let restricted =
            thread::spawn(|| Confinement::new(Strictness::Required).restrict_this_thread());
        let restricted = restricted.join().unwrap();
        let is_enough = version().unwrap().is_some_and(|version| version >= 5);
        assert_eq!(restricted.is_ok(), is_enough);
        if let Err(error) = restricted {
            assert_eq!(error.to_string(), "cannot set a Landlock ruleset");
            assert_eq!(error.raw_os_error(), None);
        }
    }
}
