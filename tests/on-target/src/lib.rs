// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tests on a board need besides the driver: bytes, error numbers, an engine that stalls,
//! a driver that goes, and clients that end in every way.
//!
//! The tests run one after the other, as root, and count on being the only user of the device:
//! `cargo bringup test` sees to that. On a PC they are listed as ignored.

mod batch;
mod client;
mod dump;
mod lifetime;
mod program;
#[expect(unsafe_code, reason = "what tests need and no safe API offers")]
mod raw;
mod told;

use std::fmt::Debug;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::parent_id;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use batch::{nonsense, nop, pop_all, small_copy, submit};
pub use client::{Client, Role, role};
pub use dump::{Dump, Packet};
pub use lifetime::{Bound, Unbound, Unloaded, WithSoftware};
pub use program::{Called, Running, call, program, start};
pub use raw::{
    Beside, Refusable, child_reads, command, command_with, copy_without_answer, interrupted_by,
    read_beyond, read_without_waiting, restarted_after, spliced, try_enlarging,
    try_making_executable, try_mapping, wait_on_shared_word, wake_shared_word, without_admin,
    write_beyond, writes_as_root_of_a_namespace,
};
pub use told::Told;

use dmacopy_client::{DebugFiles, Device, Done, Pool, Queue, Region, Stall};
use dmacopy_uapi::{ioctl, names};
use kernel_channels::{Restore, procfs};
use nix::unistd::gettid;

/// What a test, or what it needs, returns when something else than the driver fails it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Longer than anything takes that is not stuck, on the slowest emulated board.
pub const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

/// Bytes that are not there by chance, the same for the same seed.
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let word = |index: u64| {
        let mut hasher = DefaultHasher::new();
        (seed, index).hash(&mut hasher);
        hasher.finish().to_ne_bytes()
    };
    (0..).flat_map(word).take(length).collect()
}

/// A queue of a new session of the first device, and a pool of its own.
///
/// # Errors
///
/// When there is no device, or it refuses.
pub fn queue_and_pool(bytes: usize) -> Result<(Device, Queue, Pool)> {
    let device = Device::first()?;
    let queue = device.session()?.queue()?;
    let pool = queue.pool(bytes)?;
    Ok((device, queue, pool))
}

/// A region with these bytes.
///
/// # Errors
///
/// When the pool has no room for it.
pub fn region_with(pool: &Pool, bytes: &[u8]) -> Result<Region> {
    let mut region = pool.region(bytes.len())?;
    region.write(0, bytes)?;
    Ok(region)
}

/// Both regions of a copy that was done.
///
/// # Errors
///
/// When it was not, or is no copy.
pub fn copied(done: Done) -> Result<(Region, Region)> {
    match done.ok()?.into_regions() {
        (Some(source), Some(destination)) => Ok((source, destination)),
        other => Err(format!("no copy: {other:?}").into()),
    }
}

/// Calls something in a thread of its own, so that a test can give up when it does not return.
pub fn in_thread<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = sender.send(call());
    });
    receiver
}

/// Waits until something is so.
///
/// # Errors
///
/// When it is not within [`PATIENCE`], with the last thing that was seen.
pub fn wait_until<T: Debug>(
    mut look: impl FnMut() -> Result<T>,
    is_so: impl Fn(&T) -> bool,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let seen = look()?;
        if is_so(&seen) {
            return Ok(seen);
        }
        if PATIENCE.is_some_and(|patience| start.elapsed() >= patience) {
            return Err(format!("in vain, and last seen was {seen:?}").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Calls something in a thread of its own, and waits until that sleeps in a system call.
///
/// # Errors
///
/// When it ends before that or takes too long.
pub fn asleep_in<T: Send + 'static>(
    system_call: libc::c_long,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let (sender, receiver) = channel();
    let thread = thread::spawn(move || {
        // The test waits for it.
        let _ = sender.send(gettid());
        call()
    });
    let path = format!("/proc/self/task/{}/syscall", receiver.recv()?);
    let number = system_call.to_string();
    wait_until(
        || Ok(fs::read_to_string(&path)?),
        |line| line.split(' ').next() == Some(&number),
    )?;
    Ok(thread)
}

/// The first device that moves its bytes by software, whose transfers can be made to fail.
///
/// # Errors
///
/// When there is none.
pub fn software_device() -> Result<Device> {
    for device in Device::all()? {
        if device.attributes().engine()? == names::engine::SOFTWARE {
            return Ok(device);
        }
    }
    Err("no device has the engine software".into())
}

/// Lets each session have no more than so many transfers under way, until what is returned is
/// dropped.
pub fn limit_session_transfers(device: &Device, count: u64) -> Result<Restore> {
    let limits = device
        .attributes()
        .directory()
        .group(names::limits::GROUP)?;
    let before = limits.restore_later(names::limits::SESSION_TRANSFERS)?;
    limits.set(names::limits::SESSION_TRANSFERS, count)?;
    Ok(before)
}

/// Waits until as many transfers wait for the engine.
///
/// # Errors
///
/// As [`wait_until`], and when the device has no debugfs directory.
pub fn wait_for_waiting(device: &Device, count: u64) -> Result<()> {
    let debug = DebugFiles::open(device)?;
    let waiting = || Ok(debug.engine()?.number("waiting"));
    wait_until(waiting, |waiting| *waiting == Some(count)).map(drop)
}

/// The path of the agent, `bringup-target`, which has started this test.
///
/// # Errors
///
/// When it is no text, or cannot be read.
pub fn agent() -> Result<String> {
    let path = fs::read_link(format!("/proc/{}/exe", parent_id()))?;
    Ok(path.to_str().ok_or("the path is no text")?.to_owned())
}

/// The size of a page in bytes.
///
/// # Errors
///
/// When `/proc/self/smaps` does not tell.
pub fn page_bytes() -> Result<u64> {
    let maps = procfs::read("self/smaps")?;
    let mut sizes = maps.blocks.iter().filter_map(|b| b.text("KernelPageSize"));
    let kilobytes = sizes.next().and_then(|size| size.strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no page size")?.parse::<u64>()? * 1024)
}

/// A request code for the same command with an argument of another size, in bytes.
pub const fn with_size(request: u32, bytes: u16) -> u32 {
    ioctl::command(request) | ((bytes as u32) << 16)
}

/// The error number of a call that failed.
pub trait Errno {
    /// None when the call succeeded or the error is not the kernel's.
    fn errno(&self) -> Option<i32>;
}

impl<T> Errno for std::result::Result<T, dmacopy_client::Error> {
    fn errno(&self) -> Option<i32> {
        self.as_ref().err()?.raw_os_error()
    }
}

impl<T> Errno for std::result::Result<T, kernel_channels::Error> {
    fn errno(&self) -> Option<i32> {
        self.as_ref().err()?.raw_os_error()
    }
}

impl<T> Errno for nix::Result<T> {
    fn errno(&self) -> Option<i32> {
        self.as_ref().err().map(|errno| *errno as i32)
    }
}

/// An engine that completes nothing, and a timeout that does not keep a test waiting. Both end
/// when this is dropped.
#[derive(Debug)]
pub struct Stalled {
    // Dropped first, so that what still waits does not meet a longer timeout.
    stall: Stall,
    _timeout: Restore,
}

impl Stalled {
    /// Stalls the engine of a device.
    ///
    /// # Errors
    ///
    /// When the device has no debugfs directory.
    pub fn new(device: &Device, timeout: Duration) -> Result<Self> {
        let attributes = device.attributes();
        let restore = attributes
            .directory()
            .restore_later(names::attribute::TIMEOUT_MS)?;
        attributes.set_timeout(timeout)?;
        let stall = DebugFiles::open(device)?.stall()?;
        Ok(Self {
            stall,
            _timeout: restore,
        })
    }

    /// Lets the engine go on.
    ///
    /// # Errors
    ///
    /// When the switch cannot be set.
    pub fn lift(self) -> Result<()> {
        Ok(self.stall.lift()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_size_of_this_machine_is_a_power_of_two() {
        assert!(page_bytes().unwrap().is_power_of_two());
    }

    #[test]
    fn a_thread_that_sleeps_is_waited_for() {
        let (sender, receiver) = channel();
        let sleeper = asleep_in(libc::SYS_futex, move || receiver.recv().unwrap()).unwrap();
        sender.send(5).unwrap();
        assert_eq!(sleeper.join().unwrap(), 5);
    }

    #[test]
    fn seeds_make_different_bytes_and_a_seed_the_same() {
        assert_eq!(pattern(1, 61), pattern(1, 64)[..61]);
        assert_ne!(pattern(1, 64), pattern(2, 64));
        assert_ne!(pattern(1, 64)[..32], pattern(1, 64)[32..]);
    }

    #[test]
    fn another_size_leaves_the_command_as_it_is() {
        let shorter = with_size(ioctl::COPY, 24);
        assert_eq!(ioctl::size(shorter), 24);
        assert_eq!(ioctl::command(shorter), ioctl::command(ioctl::COPY));
    }
}
