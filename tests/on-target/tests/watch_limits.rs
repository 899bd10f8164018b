// SPDX-License-Identifier: MIT OR Apache-2.0

//! What inotify and fanotify do not watch, and what they tell when more happens than is read.
//!
//! No room of its own: what they are good for is tested as `watch`.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use dmacopy_client::Device;
use hil::Target;
use kernel_channels::watch::{Changes, Guard, Listener, Permission, Watcher};
use kernel_channels::{Error, Restore, sysfs};
use on_target::{Errno, without_admin};

const NOW: Option<Duration> = Some(Duration::ZERO);

#[hil::test]
fn a_watcher_that_is_too_slow_is_told_so_and_goes_on(_: &mut Target) {
    let queue = sysfs::Device::at("/proc/sys/fs/inotify").unwrap();
    let restore = queue.restore_later("max_queued_events").unwrap();
    queue.set("max_queued_events", 8).unwrap();
    let mut watcher = Watcher::new().unwrap();
    drop::<Restore>(restore);
    let device = Device::first().unwrap();
    watcher
        .add(device.node(), Changes::OPEN | Changes::CLOSE_WRITE)
        .unwrap();
    for _ in 0..10 {
        drop(device.session().unwrap());
    }
    for number in 0..8 {
        assert!(watcher.next(NOW).unwrap().is_some(), "{number}");
    }
    let error = watcher.next(NOW).unwrap_err();
    assert!(matches!(error, Error::QueueOverflow { .. }), "{error}");
    assert_eq!(watcher.next(NOW).unwrap(), None);
    let _session = device.session().unwrap();
    assert_eq!(watcher.next(NOW).unwrap().unwrap().changes, Changes::OPEN);
}

#[hil::test]
fn a_listener_that_is_too_slow_is_told_so_and_goes_on(_: &mut Target) {
    const QUEUE: usize = 8;
    let limit = sysfs::Device::at("/proc/sys/fs/fanotify").unwrap();
    let restore = limit.restore_later("max_queued_events").unwrap();
    limit.set("max_queued_events", QUEUE).unwrap();
    let mut listener = Listener::new().unwrap();
    drop::<Restore>(restore);
    let device = Device::first().unwrap();
    // Equal events in a row are one, so each is of another entry.
    let folder = device.node().with_extension("listened-to");
    fs::create_dir(&folder).unwrap();
    listener.add(&folder, Changes::CREATE).unwrap();
    for number in 0..=QUEUE {
        File::create(folder.join(number.to_string())).unwrap();
    }
    let told: Vec<_> = (0..=QUEUE).map(|_| listener.next(NOW)).collect();
    File::create(folder.join("last")).unwrap();
    let last = listener.next(NOW);
    fs::remove_dir_all(&folder).unwrap();
    for (number, event) in told[..QUEUE].iter().enumerate() {
        let event = event.as_ref().unwrap().as_ref().unwrap();
        assert_eq!(event.name.as_ref().unwrap(), &*number.to_string());
    }
    let overflow = &told[QUEUE];
    assert!(
        matches!(overflow, Err(Error::QueueOverflow { .. })),
        "{overflow:?}"
    );
    assert_eq!(last.unwrap().unwrap().name.unwrap(), "last");
}

#[hil::test]
fn a_listener_hears_of_folders_without_asking(_: &mut Target) {
    let device = Device::first().unwrap();
    let folder = device.node().with_extension("listened-to");
    fs::create_dir(&folder).unwrap();
    let mut listener = Listener::new().unwrap();
    listener.add(&folder, Changes::CREATE).unwrap();
    fs::create_dir(folder.join("another")).unwrap();
    let event = listener.next(NOW);
    fs::remove_dir_all(&folder).unwrap();
    let event = event.unwrap().unwrap();
    assert_eq!(event.changes, Changes::CREATE | Changes::DIRECTORY);
    assert_eq!(event.name.unwrap(), "another");
}

#[hil::test]
fn what_is_not_there_cannot_be_watched(_: &mut Target) {
    let path = Path::new("/dev/no-such-node");
    let watcher = Watcher::new().unwrap();
    assert_eq!(watcher.add(path, Changes::OPEN).errno(), Some(libc::ENOENT));
    let listener = Listener::new().unwrap();
    assert_eq!(
        listener.add(path, Changes::OPEN).errno(),
        Some(libc::ENOENT)
    );
    let guard = Guard::new().unwrap();
    assert_eq!(
        guard.add(path, Permission::OPEN).errno(),
        Some(libc::ENOENT)
    );
}

#[hil::test]
fn changes_that_there_are_not_cannot_be_watched_for(_: &mut Target) {
    let node = Device::first().unwrap().node().to_owned();
    let watcher = Watcher::new().unwrap();
    assert_eq!(
        watcher.add(&node, Changes::default()).errno(),
        Some(libc::EINVAL)
    );
    let listener = Listener::new().unwrap();
    assert_eq!(
        listener.add(&node, Changes::UNMOUNT).errno(),
        Some(libc::EINVAL)
    );
}

#[hil::test]
fn a_device_node_cannot_be_guarded_nor_can_procfs(_: &mut Target) {
    let node = Device::first().unwrap().node().to_owned();
    let guard = Guard::new().unwrap();
    let errno = |path: &Path| guard.add(path, Permission::OPEN).errno();
    assert_eq!(errno(&node), Some(libc::EOPNOTSUPP));
    assert_eq!(errno(Path::new("/proc/version")), Some(libc::EINVAL));
}

#[hil::test]
fn listeners_and_guards_take_the_capability(_: &mut Target) {
    let node = Device::first().unwrap().node().to_owned();
    let (listener, guard, watcher) = without_admin(|| {
        let watcher = Watcher::new().and_then(|watcher| watcher.add(node, Changes::OPEN));
        (
            Listener::new().errno(),
            Guard::new().errno(),
            watcher.errno(),
        )
    })
    .unwrap();
    assert_eq!((listener, guard), (Some(libc::EPERM), Some(libc::EPERM)));
    assert_eq!(watcher, None, "inotify takes none");
}

hil::main!();
