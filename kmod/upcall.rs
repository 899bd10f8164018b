// SPDX-License-Identifier: GPL-2.0

//! Upcalls: a program that the administrator has chosen is started when the engine stalls.
//!
//! It is off until a path has been set and it has been switched on. Who writes to these attributes
//! decides what runs as root in the initial namespaces, so that takes `CAP_SYS_ADMIN` there.

use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::{
    sys::{
        compat::ENAMETOOLONG,
        upcall, //
    },
    uapi::names::{
        argument,
        environment,
        state, //
    }, //
};

/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 255;
/// The longest time between two calls that can be asked for, in milliseconds.
const MAX_INTERVAL_MS: u32 = 3_600_000;

/// What every program can count on.
const HOME: &CStr = c"HOME=/";
const PATH: &CStr = c"PATH=/sbin:/usr/sbin:/bin:/usr/bin";

/// What is to be called, and how often.
struct Setting {
    /// Absolute, if there is one.
    path: Option<CString>,
    /// Only with a path.
    enabled: bool,
    interval_ms: u32,
    /// When the last call was made.
    last: Option<Instant<Monotonic>>,
}

/// The upcall of a device.
#[pin_data]
pub(crate) struct Upcall {
    #[pin]
    setting: Mutex<Setting>,
    /// Programs that have been started.
    pub(crate) runs: Atomic<u64>,
    /// Programs that could not be started.
    pub(crate) failures: Atomic<u64>,
    /// Stalls that nobody was called for, because that was too soon.
    pub(crate) suppressed: Atomic<u64>,
}

impl Upcall {
    /// Calls nothing.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            setting <- new_mutex!(Setting {
                path: None,
                enabled: false,
                interval_ms: 1000,
                last: None,
            }),
            runs: Atomic::new(0),
            failures: Atomic::new(0),
            suppressed: Atomic::new(0),
        })
    }

    /// The program's path, if there is one.
    pub(crate) fn path(&self) -> Option<CString> {
        self.setting.lock().path.as_deref().and_then(copied)
    }

    /// Sets the path. Nothing for no path, which switches the calls off.
    pub(crate) fn set_path(&self, path: &str) -> Result {
        let path = match path {
            "" => None,
            path if path.len() > MAX_PATH_BYTES => return Err(ENAMETOOLONG),
            path if !path.starts_with('/') || path.contains(char::is_control) => {
                return Err(EINVAL)
            }
            path => Some(CString::try_from_fmt(fmt!("{path}"))?),
        };
        let mut setting = self.setting.lock();
        setting.enabled &= path.is_some();
        let old = core::mem::replace(&mut setting.path, path);
        drop(setting);
        drop(old);
        Ok(())
    }

    /// Whether the program is called.
    pub(crate) fn is_enabled(&self) -> bool {
        self.setting.lock().enabled
    }

    /// Switches the calls on or off; on only with a path.
    pub(crate) fn set_enabled(&self, enabled: bool) -> Result {
        let mut setting = self.setting.lock();
        if enabled && setting.path.is_none() {
            return Err(EINVAL);
        }
        setting.enabled = enabled;
        Ok(())
    }

    /// How long nothing is called after a call, in milliseconds.
    pub(crate) fn interval_ms(&self) -> u32 {
        self.setting.lock().interval_ms
    }

    /// Sets how long nothing is called after a call.
    pub(crate) fn set_interval_ms(&self, milliseconds: u32) -> Result {
        if milliseconds > MAX_INTERVAL_MS {
            return Err(EINVAL);
        }
        self.setting.lock().interval_ms = milliseconds;
        Ok(())
    }

    /// What to call now, if anything.
    fn claim(&self) -> Option<CString> {
        let mut setting = self.setting.lock();
        if !setting.enabled {
            return None;
        }
        let interval = Delta::from_millis(i64::from(setting.interval_ms));
        if setting.last.is_some_and(|last| last.elapsed() < interval) {
            self.suppressed.add(1, Relaxed);
            return None;
        }
        setting.last = Some(Instant::now());
        setting.path.as_deref().and_then(copied)
    }

    /// A stall has happened for which there is no time: the call before has not been made yet.
    pub(crate) fn skip(&self) {
        if self.is_enabled() {
            self.suppressed.add(1, Relaxed);
        }
    }

    /// Calls the program if it is switched on and not too soon: the engine of the device `name` has
    /// stalled with transfer `sequence`. Waits until the program has been loaded.
    pub(crate) fn stalled(&self, name: &CStr, sequence: u64) {
        let Some(path) = self.claim() else { return };
        let started = call(&path, name, sequence);
        match started {
            Ok(()) => self.runs.add(1, Relaxed),
            Err(error) => {
                self.failures.add(1, Relaxed);
                pr_warn!("{name}: cannot start {}: {error:?}\n", &*path);
            }
        }
    }
}

fn call(path: &CStr, name: &CStr, sequence: u64) -> Result {
    let number = CString::try_from_fmt(fmt!("{sequence}"))?;
    let device = CString::try_from_fmt(fmt!("{}={name}", environment::DEVICE))?;
    let stalled = CString::try_from_fmt(fmt!("{}={}", environment::STATE, state::STALLED))?;
    let transfer = CString::try_from_fmt(fmt!("{}={sequence}", environment::SEQUENCE))?;
    upcall::execute(
        path,
        [
            path,
            c_name!(argument::UPCALL),
            name,
            c_name!(state::STALLED),
            &number,
        ],
        [HOME, PATH, &device, &stalled, &transfer],
    )
}

/// A copy, unless there is no memory for it.
fn copied(text: &CStr) -> Option<CString> {
    CString::try_from_fmt(fmt!("{text}")).ok()
}
