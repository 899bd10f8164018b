// SPDX-License-Identifier: MIT OR Apache-2.0

//! What each room needs: the options of the kernel, and whether it works when it is tried. Nothing
//! that is tried changes anything.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use anyhow::{Context as _, ensure};
use dmacopy_client::{DebugFiles, Device, Query, Upcall};
use dmacopy_uapi::names::{self, DRIVER, kfunc, tracepoint};
use kernel_channels::bpf::{Array, Function};
use kernel_channels::eventfd::{Counter, Loop, SignalQueue, Timer};
use kernel_channels::futex::{Scope, Word};
use kernel_channels::signal::{Blocked, Signal};
use kernel_channels::tracepoint::Event;
use kernel_channels::uevent::Monitor;
use kernel_channels::{procfs, tracepoint as perf};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::driver;
use super::finding::{Finding, State};
use super::options::Options;
use super::system::System;
use super::user::{Capability, User};

/// The first version of Landlock with all that the room uses.
const LANDLOCK: u32 = 5;
/// How often a call is measured.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);

/// What a room is tried with.
struct Trial<'a> {
    device: Option<&'a Device>,
    system: &'a System,
    user: &'a User,
}

/// Tries a room, and says what was seen.
type Try = fn(&Trial<'_>) -> anyhow::Result<String>;

/// A room, the options that the kernel must have been built with, and the trial.
type Need = (&'static str, &'static [&'static str], Try);

/// What each room needs.
const NEEDS: [Need; 17] = [
    ("syscall", &["CONFIG_FTRACE_SYSCALLS"], syscall),
    ("chardev", &[], chardev),
    ("ioctl", &[], ioctl),
    ("mmap", &["CONFIG_MMU"], mmap),
    ("futex", &["CONFIG_FUTEX"], futex),
    ("signal", &[], signal),
    (
        "eventfd",
        &[
            "CONFIG_EVENTFD",
            "CONFIG_TIMERFD",
            "CONFIG_SIGNALFD",
            "CONFIG_EPOLL",
        ],
        eventfd,
    ),
    ("sysfs", &["CONFIG_SYSFS"], sysfs),
    ("uevent", &["CONFIG_NET"], uevent),
    ("netlink", &["CONFIG_NET"], netlink),
    ("upcall", &[], upcall),
    ("procfs", &["CONFIG_PROC_FS"], procfs_summary),
    (
        "tracepoint",
        &["CONFIG_EVENT_TRACING", "CONFIG_PERF_EVENTS"],
        tracepoints,
    ),
    (
        "bpf",
        &[
            "CONFIG_BPF_SYSCALL",
            "CONFIG_BPF_EVENTS",
            "CONFIG_DEBUG_INFO_BTF",
            "CONFIG_DEBUG_INFO_BTF_MODULES",
        ],
        bpf,
    ),
    (
        "seccomp",
        &[
            "CONFIG_SECCOMP_FILTER",
            "CONFIG_SECURITY_LANDLOCK",
            "CONFIG_BPF_LSM",
            "CONFIG_AUDITSYSCALL",
        ],
        seccomp,
    ),
    (
        "watch",
        &[
            "CONFIG_INOTIFY_USER",
            "CONFIG_FANOTIFY",
            "CONFIG_FANOTIFY_ACCESS_PERMISSIONS",
        ],
        watch,
    ),
    ("debugfs", &["CONFIG_DEBUG_FS"], debugfs),
];

pub(super) fn look(system: &System, options: &Options, user: &User) -> Vec<Finding> {
    let device = Device::first().ok();
    let trial = Trial {
        device: device.as_ref(),
        system,
        user,
    };
    let one = |(room, needed, attempt): &Need| {
        finding(room, options.missing(needed), attempt(&trial), system)
    };
    NEEDS.iter().map(one).collect()
}

fn finding(
    room: &str,
    missing: Vec<&str>,
    tried: anyhow::Result<String>,
    system: &System,
) -> Finding {
    if !missing.is_empty() {
        let why = format!("the kernel was built without {}", missing.join(", "));
        let mend = "cargo bringup demo   # on the PC: boots a kernel that has all";
        return Finding::new("room", room, State::Problem, why).mend(mend);
    }
    match tried {
        Ok(why) => Finding::new("room", room, State::Ok, why),
        Err(error) => {
            let finding = Finding::new("room", room, State::Problem, format!("{error:#}"));
            finding.mend(mend(room, &error, system))
        }
    }
}

/// The command that mends what the trial of a room has failed with.
fn mend(room: &str, error: &anyhow::Error, system: &System) -> String {
    for cause in error.chain() {
        if matches!(cause.downcast_ref(), Some(dmacopy_client::Error::NoDevice)) {
            return driver::load(system);
        }
        if let Some(kernel_channels::Error::NotMounted { filesystem }) = cause.downcast_ref() {
            let point = match *filesystem {
                "tracefs" => "/sys/kernel/tracing",
                "debugfs" => "/sys/kernel/debug",
                other => return format!("mount -t {other} {other} /mnt"),
            };
            return format!("mount -t {filesystem} {filesystem} {point}");
        }
        if cause.is::<ReadOnly>() {
            return "mount -o remount,rw /sys".to_owned();
        }
        let errno = cause.downcast_ref().and_then(std::io::Error::raw_os_error);
        let is_forbidden = matches!(errno, Some(libc::EACCES | libc::EPERM));
        if is_forbidden || cause.is::<Lacks>() {
            return "sudo bringup-target doctor".to_owned();
        }
    }
    format!("bringup-target channel {room}   # shows the step that fails")
}

impl Trial<'_> {
    fn device(&self) -> anyhow::Result<&Device> {
        Ok(self.device.ok_or(dmacopy_client::Error::NoDevice)?)
    }

    /// A file that tells of something that the kernel has.
    fn told(&self, path: &str) -> anyhow::Result<String> {
        let text = self.system.text(path);
        text.with_context(|| format!("{path} cannot be read"))
    }

    fn require(&self, capability: Capability, name: &str) -> anyhow::Result<()> {
        ensure!(self.user.has(capability), Lacks(name.to_owned()));
        Ok(())
    }
}

/// An attribute that nobody can write. That this user may not is no reason: rooms tell that.
fn writable(trial: &Trial<'_>) -> anyhow::Result<()> {
    let folder = trial.device()?.attributes().directory().path();
    let path = folder.join(names::attribute::TIMEOUT_MS);
    let is_read_only = access(&path, AccessFlags::W_OK) == Err(Errno::EROFS);
    ensure!(!is_read_only, ReadOnly(path));
    Ok(())
}

/// A file of a file system that is mounted read-only.
#[derive(Debug, thiserror::Error)]
#[error("{0} is in a file system that is mounted read-only")]
struct ReadOnly(PathBuf);

/// A capability that the user has not.
#[derive(Debug, thiserror::Error)]
#[error("user lacks {0}")]
struct Lacks(String);

fn syscall(_: &Trial<'_>) -> anyhow::Result<String> {
    let cost = kernel_channels::syscall::floor(ROUNDS);
    Ok(format!(
        "to enter the kernel and leave it takes {} ns",
        cost.as_nanos()
    ))
}

fn chardev(trial: &Trial<'_>) -> anyhow::Result<String> {
    let device = trial.device()?;
    device.session()?;
    Ok(format!("{} can be opened", device.node().display()))
}

fn ioctl(trial: &Trial<'_>) -> anyhow::Result<String> {
    let info = trial.device()?.session()?.info()?;
    Ok(format!(
        "INFO is answered, ABI version {}",
        info.abi_version
    ))
}

fn mmap(trial: &Trial<'_>) -> anyhow::Result<String> {
    let buffer = trial.device()?.session()?.buffer()?;
    Ok(format!("{} bytes can be mapped", buffer.len()))
}

fn futex(_: &Trial<'_>) -> anyhow::Result<String> {
    let word = AtomicU32::new(0);
    let woken = Word::new(&word, Scope::Private).wake(1)?;
    Ok(format!("futex(2) has woken {woken} threads"))
}

fn signal(trial: &Trial<'_>) -> anyhow::Result<String> {
    let signal = Signal::real_time(0).context("there are no real-time signals")?;
    let _blocked = Blocked::new(&[signal])?;
    let session = trial.device()?.session()?;
    drop(session.signal_this_thread(signal)?);
    Ok(format!("{signal} can be asked for"))
}

fn eventfd(_: &Trial<'_>) -> anyhow::Result<String> {
    let (events, counter, timer) = (Loop::new()?, Counter::new()?, Timer::new()?);
    let signals = SignalQueue::new(&[Signal::USER1])?;
    let interest = kernel_channels::Interest::READABLE;
    events.add(&counter, 0, interest)?;
    events.add(&timer, 1, interest)?;
    events.add(&signals, 2, interest)?;
    Ok("one loop waits for eventfd, timerfd and signalfd".to_owned())
}

fn sysfs(trial: &Trial<'_>) -> anyhow::Result<String> {
    let attributes = trial.device()?.attributes();
    let names = attributes.directory().attributes()?;
    attributes.engine()?;
    writable(trial)?;
    Ok(format!("{} attributes", names.len()))
}

fn uevent(trial: &Trial<'_>) -> anyhow::Result<String> {
    Monitor::open()?;
    // The room has the engine stall. The kernel's events come without a device, too.
    if trial.device.is_some() {
        writable(trial)?;
    }
    Ok("the kernel's events can be listened to".to_owned())
}

fn netlink(_: &Trial<'_>) -> anyhow::Result<String> {
    let mut query = Query::open()?;
    let devices = query.devices()?.len();
    let number = query.connection().family().id;
    Ok(format!("family {number} tells of {devices} devices"))
}

fn upcall(trial: &Trial<'_>) -> anyhow::Result<String> {
    let upcall = Upcall::of(trial.device()?)?;
    let enabled = upcall.is_enabled()?;
    writable(trial)?;
    trial.require(Capability::SYS_ADMIN, "CAP_SYS_ADMIN, to set the program")?;
    Ok(format!(
        "may be set, and is {}",
        if enabled { "on" } else { "off" }
    ))
}

fn procfs_summary(_: &Trial<'_>) -> anyhow::Result<String> {
    let summary = procfs::read(names::PROC_SUMMARY)?;
    Ok(format!("{} blocks", summary.blocks.len()))
}

fn tracepoints(_: &Trial<'_>) -> anyhow::Result<String> {
    let event = Event::find(tracepoint::SYSTEM, tracepoint::COMPLETE)?;
    perf::Counter::open(&event)?;
    Ok(format!(
        "{} has number {}, and perf may count it",
        event.name(),
        event.id()
    ))
}

fn bpf(_: &Trial<'_>) -> anyhow::Result<String> {
    Array::new("doctor", 1)?;
    Function::find(DRIVER, kfunc::TRANSFERS)?;
    Ok(format!(
        "maps can be made, and {} be called",
        kfunc::TRANSFERS
    ))
}

fn seccomp(trial: &Trial<'_>) -> anyhow::Result<String> {
    let actions = trial.told("/proc/sys/kernel/seccomp/actions_avail")?;
    let version = kernel_channels::seccomp::version()?;
    confined(&actions, version, kernel_channels::seccomp::modules().ok())
}

/// Whether a client can be confined: by the actions of filters, the version of Landlock, and, if they
/// are known, the security modules.
fn confined(
    actions: &str,
    version: Option<u32>,
    modules: Option<Vec<String>>,
) -> anyhow::Result<String> {
    for action in ["kill_process", "errno", "allow"] {
        let is_there = actions.split(' ').any(|one| one == action);
        ensure!(is_there, "no action {action} among {actions}");
    }
    let version = version.context("the kernel was started without Landlock, see lsm= of it")?;
    ensure!(
        version >= LANDLOCK,
        "Landlock has version {version}, and version {LANDLOCK} forbids requests"
    );
    let Some(modules) = modules else {
        return Ok(format!("all actions, and Landlock version {version}"));
    };
    let has_bpf = modules.iter().any(|module| module == "bpf");
    let modules = modules.join(",");
    ensure!(
        has_bpf,
        "the kernel was started without bpf among its security modules {modules}, see lsm= of it"
    );
    Ok(format!(
        "all actions, and Landlock version {version}; security modules {modules}"
    ))
}

fn watch(trial: &Trial<'_>) -> anyhow::Result<String> {
    let watches = trial.told("/proc/sys/fs/inotify/max_user_watches")?;
    trial.told("/proc/sys/fs/fanotify/max_user_marks")?;
    trial.require(
        Capability::SYS_ADMIN,
        "CAP_SYS_ADMIN, to decide by fanotify",
    )?;
    Ok(format!(
        "inotify has {watches} watches, and fanotify may decide"
    ))
}

fn debugfs(trial: &Trial<'_>) -> anyhow::Result<String> {
    let debug = DebugFiles::open(trial.device()?)?;
    debug.engine()?;
    let path = debug.directory().path().display().to_string();
    trial.require(Capability::SYS_ADMIN, "CAP_SYS_ADMIN, to write there")?;
    Ok(format!("{path} can be read and written"))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use kernel_channels::ROOMS;

    use super::super::system::system;
    use super::*;

    #[test]
    fn each_room_has_its_needs() {
        for room in ROOMS {
            let found = NEEDS.iter().filter(|(name, ..)| *name == room);
            assert_eq!(found.count(), 1, "{room}");
        }
    }

    #[test]
    fn a_missing_option_counts_more_than_what_the_trial_says() {
        let (_folder, system) = system(&[]);
        let found = finding(
            "bpf",
            vec!["CONFIG_BPF_SYSCALL"],
            Ok("works".into()),
            &system,
        );
        assert_eq!(found.state(), State::Problem);
        assert!(found.text().contains("without CONFIG_BPF_SYSCALL"));
        assert_eq!(
            finding("bpf", vec![], Ok("works".into()), &system).state(),
            State::Ok
        );
        let found = finding("bpf", vec![], Err(anyhow!("no")), &system);
        assert_eq!(found.state(), State::Problem);
    }

    #[test]
    fn a_client_is_confined_by_what_the_kernel_was_started_with() {
        const ACTIONS: &str = "kill_process kill_thread trap errno log allow";
        let modules = |names: &str| Some(names.split(',').map(str::to_owned).collect());
        let both = || modules("capability,landlock,bpf");
        assert!(confined(ACTIONS, Some(LANDLOCK), both()).is_ok());
        assert!(confined(ACTIONS, Some(LANDLOCK), None).is_ok());
        let refused = [
            (
                "kill_thread errno allow",
                Some(LANDLOCK),
                both(),
                "no action kill_process",
            ),
            (ACTIONS, None, both(), "without Landlock"),
            (
                ACTIONS,
                Some(LANDLOCK - 1),
                both(),
                "Landlock has version 4",
            ),
            (
                ACTIONS,
                Some(LANDLOCK),
                modules("landlock,bpfx"),
                "without bpf among",
            ),
        ];
        for (actions, version, modules, expected) in refused {
            let error = confined(actions, version, modules).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn each_kind_of_failure_has_a_command_of_its_own() {
        let release = ("/proc/sys/kernel/osrelease", "7.3.4\n");
        let (_folder, with) = system(&[release, ("/lib/modules/7.3.4/modules.dep", "")]);
        let mend = |error: &anyhow::Error| mend("bpf", error, &with);
        let not_mounted = kernel_channels::Error::NotMounted {
            filesystem: "tracefs",
        };
        let command = mend(&anyhow::Error::new(not_mounted).context("no"));
        assert_eq!(command, "mount -t tracefs tracefs /sys/kernel/tracing");
        let command = mend(&dmacopy_client::Error::NoDevice.into());
        assert_eq!(command, "modprobe dmacopy");
        let forbidden = std::io::Error::from_raw_os_error(libc::EACCES);
        assert_eq!(mend(&forbidden.into()), "sudo bringup-target doctor");
        assert_eq!(
            mend(&Lacks("x".into()).into()),
            "sudo bringup-target doctor"
        );
        let command = mend(&ReadOnly("/sys/x".into()).into());
        assert_eq!(command, "mount -o remount,rw /sys");
        assert!(mend(&anyhow!("else")).starts_with("bringup-target channel bpf "));
    }
}
