// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who uses the node, when it appears, what its attributes say, and who may open it: inotify and
//! fanotify.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use dmacopy_client::Device;
use dmacopy_uapi::names::{attribute, state};
use hil::Target;
use kernel_channels::watch::{Change, Changes, Guard, Listener, Permission, Request, Watcher};
use kernel_channels::{Error, Interest, Restore, poll, sysfs};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use on_target::{
    Client, Errno, PATIENCE, Result, Role, Stalled, Unbound, in_thread, role, wait_until,
};

/// An attribute that is guarded, what it holds meanwhile, and what a client wants it to hold.
const GUARDED: &str = attribute::TIMEOUT_MS;
const TIMEOUT: &str = "4321";
const OTHER: &str = "1234";
const NOW: Option<Duration> = Some(Duration::ZERO);
const SHORT: Duration = Duration::from_millis(50);

/// All that a watcher has to tell by now.
fn all(watcher: &mut Watcher) -> Result<Vec<Change>> {
    let mut all = Vec::new();
    while let Some(change) = watcher.next(NOW)? {
        all.push(change);
    }
    Ok(all)
}

/// What has happened to the entries of this name, by the kernel's names.
fn about(changes: &[Change], name: &str) -> Vec<String> {
    let about = changes.iter().filter(|change| {
        let entry = change.name.as_deref();
        entry.and_then(|entry| entry.to_str()) == Some(name)
    });
    about.map(|change| change.changes.to_string()).collect()
}

/// Writes what an attribute holds already, in a thread of its own.
fn sets(device: &Device) -> Receiver<std::result::Result<(), Error>> {
    let directory = device.attributes().directory().clone();
    in_thread(move || directory.set(GUARDED, TIMEOUT))
}

fn patience() -> Duration {
    PATIENCE.unwrap_or(Duration::MAX)
}

fn asked(guard: &Guard) -> Result<Request<'_>> {
    Ok(guard.next(PATIENCE)?.ok_or("nobody has asked")?)
}

/// A guard of that attribute.
fn guard(device: &Device) -> Result<Guard> {
    device.attributes().directory().set(GUARDED, TIMEOUT)?;
    let guard = Guard::new()?;
    guard.add(path(device), Permission::OPEN)?;
    Ok(guard)
}

/// Puts back what is guarded when it is dropped.
fn restore_later(device: &Device) -> Result<Restore> {
    Ok(device.attributes().directory().restore_later(GUARDED)?)
}

fn path(device: &Device) -> PathBuf {
    device.attributes().directory().path().join(GUARDED)
}

/// The process that a pidfd leads to.
fn process(pidfd: BorrowedFd<'_>) -> Result<i32> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok(line.ok_or("no Pid")?.trim().parse()?)
}

/// A client that does what its role says when it is told to, and exits with the error number.
fn client(test: &str, role: &str) -> Client {
    Client::start(test, role).unwrap()
}

/// Is that client.
fn be_the_client(role: &Role) {
    let device = Device::first().unwrap();
    role.ready().unwrap();
    role.wait().unwrap();
    let errno = match role.name.as_str() {
        "open" => device.session().errno(),
        _ => device.attributes().directory().set(GUARDED, OTHER).errno(),
    };
    std::process::exit(errno.unwrap_or(0));
}

#[hil::test]
fn each_session_that_is_opened_and_closed_is_seen_at_the_node(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut watcher = Watcher::new().unwrap();
    let watch = watcher
        .add(device.node(), Changes::OPEN | Changes::CLOSE_WRITE)
        .unwrap();
    for _ in 0..10 {
        drop(device.session().unwrap());
    }
    let changes = all(&mut watcher).unwrap();
    assert!(changes.iter().all(|c| c.watch == watch && c.name.is_none()));
    let names: Vec<_> = changes.iter().map(|c| c.changes).collect();
    assert_eq!(names, [Changes::OPEN, Changes::CLOSE_WRITE].repeat(10));

    watcher.remove(watch).unwrap();
    drop(device.session().unwrap());
    let changes = all(&mut watcher).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].changes, Changes::IGNORED);
}

#[hil::test]
fn a_node_that_goes_and_comes_back_is_seen_in_its_folder(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut watcher = Watcher::new().unwrap();
    watcher
        .add("/dev", Changes::CREATE | Changes::DELETE)
        .unwrap();
    let unbound = Unbound::new().unwrap();
    let gone = all(&mut watcher).unwrap();
    assert_eq!(about(&gone, device.name()), ["DELETE"]);
    assert!(!device.node().exists());
    unbound.rebind().unwrap();
    let back = all(&mut watcher).unwrap();
    assert_eq!(about(&back, device.name()), ["CREATE"]);
    assert!(
        fs::metadata(device.node())
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

#[hil::test]
fn the_watch_of_a_node_ends_with_the_last_session_of_a_device_that_has_gone(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut watcher = Watcher::new().unwrap();
    watcher
        .add(device.node(), Changes::DELETE_SELF | Changes::ATTRIB)
        .unwrap();
    let session = device.session().unwrap();
    let unbound = Unbound::new().unwrap();
    let before: Vec<_> = all(&mut watcher)
        .unwrap()
        .iter()
        .map(|c| c.changes)
        .collect();
    assert!(!before.contains(&Changes::DELETE_SELF), "{before:?}");
    assert!(before.contains(&Changes::ATTRIB), "it has no name any more");
    drop(session);
    let mut after = Vec::new();
    while after.last() != Some(&Changes::IGNORED) {
        after.push(watcher.next(PATIENCE).unwrap().unwrap().changes);
    }
    assert!(after.contains(&Changes::DELETE_SELF), "{after:?}");
    unbound.rebind().unwrap();
    // The new node is another one.
    drop(device.session().unwrap());
    assert_eq!(watcher.next(NOW).unwrap(), None);
}

#[hil::test]
fn a_node_whose_mode_changes_is_seen(_: &mut Target) {
    let device = Device::first().unwrap();
    let mode = fs::metadata(device.node()).unwrap().permissions();
    let mut watcher = Watcher::new().unwrap();
    watcher.add(device.node(), Changes::ATTRIB).unwrap();
    fs::set_permissions(device.node(), Permissions::from_mode(0o600)).unwrap();
    let change = watcher.next(NOW).unwrap().unwrap();
    fs::set_permissions(device.node(), mode).unwrap();
    assert_eq!(change.changes, Changes::ATTRIB);
}

#[hil::test]
fn an_attribute_that_the_driver_changes_is_seen_when_it_says_so(_: &mut Target) {
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let mut watcher = Watcher::new().unwrap();
    let of_state = watcher
        .add(directory.path().join(attribute::STATE), Changes::MODIFY)
        .unwrap();
    // Counted, and not announced.
    watcher
        .add(directory.path().join(attribute::TRANSFERS), Changes::MODIFY)
        .unwrap();
    let session = device.session().unwrap();
    session.copy(0, 2048, 64).unwrap();
    assert_eq!(watcher.next(NOW).unwrap(), None);

    let stalled = Stalled::new(&device, SHORT).unwrap();
    assert_eq!(session.copy(0, 2048, 64).errno(), Some(libc::ETIMEDOUT));
    let change = watcher.next(PATIENCE).unwrap().unwrap();
    assert_eq!((change.watch, change.changes), (of_state, Changes::MODIFY));
    assert_eq!(directory.text(attribute::STATE).unwrap(), state::STALLED);
    stalled.lift().unwrap();
    let change = watcher.next(PATIENCE).unwrap().unwrap();
    assert_eq!((change.watch, change.changes), (of_state, Changes::MODIFY));
    wait_until(
        || Ok(directory.text(attribute::STATE)?),
        |text| text == state::RUNNING,
    )
    .unwrap();
}

#[hil::test]
fn what_listeners_and_guards_have_open_does_not_survive_execve(_: &mut Target) {
    let device = Device::first().unwrap();
    let _restore = restore_later(&device).unwrap();
    let guard = guard(&device).unwrap();
    let set = sets(&device);
    let request = asked(&guard).unwrap();
    let listener = Listener::new().unwrap();
    let files = [
        listener.as_fd(),
        guard.as_fd(),
        request.file().unwrap(),
        request.process().pidfd().unwrap(),
    ];
    let flags = files.map(|file| fcntl(file, FcntlArg::F_GETFD).unwrap());
    assert_eq!(flags, [FdFlag::FD_CLOEXEC.bits(); 4]);
    request.allow().unwrap();
    set.recv_timeout(patience()).unwrap().unwrap();
}

#[hil::test]
fn a_listener_learns_which_process_opens_the_node(_: &mut Target) {
    if let Some(role) = role() {
        return be_the_client(&role);
    }
    let mut client = client("a_listener_learns_which_process_opens_the_node", "open");
    let device = Device::first().unwrap();
    let mut listener = Listener::new().unwrap();
    listener.add(device.node(), Changes::OPEN).unwrap();
    client.go().unwrap();
    let event = listener.next(PATIENCE).unwrap().unwrap();
    assert_eq!(event.changes, Changes::OPEN);
    assert_eq!(event.process.id().unsigned_abs(), client.id());
    assert_eq!(client.end().unwrap().code(), Some(0));

    let session = device.session().unwrap();
    let event = listener.next(PATIENCE).unwrap().unwrap();
    assert_eq!(event.process.id().unsigned_abs(), std::process::id());
    let process = process(event.process.pidfd().unwrap()).unwrap();
    assert_eq!(process.unsigned_abs(), std::process::id());
    drop(session);
    assert!(
        listener.next(NOW).unwrap().is_none(),
        "a close was not asked for"
    );
}

#[hil::test]
fn a_listener_learns_which_entry_of_a_folder_is_opened(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut listener = Listener::new().unwrap();
    listener.add("/dev", Changes::OPEN).unwrap();
    drop(device.session().unwrap());
    // Others may use their nodes, too.
    let opened = loop {
        let event = listener.next(PATIENCE).unwrap().unwrap();
        if event.name.as_deref() == Some(device.name().as_ref()) {
            break event;
        }
    };
    assert_eq!(opened.changes, Changes::OPEN);
    assert_eq!(opened.process.id().unsigned_abs(), std::process::id());
}

/// How many files this process has open.
fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[hil::test]
fn events_and_requests_leave_no_file_open(_: &mut Target) {
    const EVENTS: usize = 100;
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let _restore = directory.restore_later(GUARDED).unwrap();
    let mut listener = Listener::new().unwrap();
    listener.add(device.node(), Changes::OPEN).unwrap();
    let guard = guard(&device).unwrap();
    let before = open_files();
    for _ in 0..EVENTS {
        drop(device.session().unwrap());
        let event = listener.next(PATIENCE).unwrap().unwrap();
        assert!(event.process.pidfd().is_some());
    }
    assert_eq!(open_files(), before, "of the listener");
    let set = (0..EVENTS).map(|_| {
        let set = sets(&device);
        asked(&guard).unwrap().allow().unwrap();
        set.recv_timeout(patience()).unwrap().unwrap();
    });
    assert_eq!(set.count(), EVENTS);
    assert_eq!(open_files(), before, "of the guard");
}

#[hil::test]
fn the_kernels_own_thread_makes_and_removes_the_node(_: &mut Target) {
    let device = Device::first().unwrap();
    let mut listener = Listener::new().unwrap();
    listener
        .add("/dev", Changes::CREATE | Changes::DELETE)
        .unwrap();
    Unbound::new().unwrap().rebind().unwrap();
    let mut seen = Vec::new();
    while let Some(event) = listener.next(NOW).unwrap() {
        if event.name.as_deref() == Some(device.name().as_ref()) {
            let path = format!("/proc/{}/comm", event.process.id());
            let who = fs::read_to_string(path).unwrap();
            seen.push((event.changes, who.trim().to_owned()));
        }
    }
    // Two things that happen to one name before they are read are one event.
    let all = seen
        .iter()
        .fold(Changes::default(), |all, (one, _)| all | *one);
    assert_eq!(all, Changes::CREATE | Changes::DELETE);
    assert!(seen.iter().all(|(_, who)| who == "kdevtmpfs"), "{seen:?}");
}

#[hil::test]
fn a_client_that_is_denied_gets_eperm_and_sets_nothing(_: &mut Target) {
    if let Some(role) = role() {
        return be_the_client(&role);
    }
    let mut client = client("a_client_that_is_denied_gets_eperm_and_sets_nothing", "set");
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let _restore = directory.restore_later(GUARDED).unwrap();
    let guard = guard(&device).unwrap();
    client.go().unwrap();
    let request = asked(&guard).unwrap();
    assert_eq!(request.permission(), Permission::OPEN);
    assert_eq!(request.process().id().unsigned_abs(), client.id());
    let pidfd = request.process().pidfd().unwrap();
    assert_eq!(process(pidfd).unwrap().unsigned_abs(), client.id());
    request.deny().unwrap();
    assert_eq!(client.end().unwrap().code(), Some(libc::EPERM));
    drop(guard);
    assert_eq!(directory.text(GUARDED).unwrap(), TIMEOUT);
}

#[hil::test]
fn a_client_waits_until_the_guard_has_allowed_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let _restore = restore_later(&device).unwrap();
    let guard = guard(&device).unwrap();
    let set = sets(&device);
    let request = asked(&guard).unwrap();
    assert!(set.recv_timeout(SHORT).is_err(), "it has not waited");
    // The guard looks at what is to be opened, and is not asked itself.
    let shown = request.file().unwrap().try_clone_to_owned().unwrap();
    let mut text = String::new();
    File::from(shown).read_to_string(&mut text).unwrap();
    assert_eq!(text.trim(), TIMEOUT);
    request.allow().unwrap();
    set.recv_timeout(patience()).unwrap().unwrap();
}

#[hil::test]
fn a_guard_is_asked_however_many_wait(_: &mut Target) {
    let device = Device::first().unwrap();
    let directory = device.attributes().directory();
    let _restore = directory.restore_later(GUARDED).unwrap();
    // Whoever finds the queue full is let pass, and one without room is always full.
    let queue = sysfs::Device::at("/proc/sys/fs/fanotify").unwrap();
    let restore = queue.restore_later("max_queued_events").unwrap();
    queue.set("max_queued_events", 0).unwrap();
    let guard = guard(&device).unwrap();
    drop::<Restore>(restore);
    let set = [sets(&device), sets(&device), sets(&device)];
    for _ in &set {
        asked(&guard).unwrap().deny().unwrap();
    }
    for set in set {
        let result = set.recv_timeout(patience()).unwrap();
        assert_eq!(result.errno(), Some(libc::EPERM));
    }
}

#[hil::test]
fn who_may_open_a_file_may_be_refused_to_read_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let guard = Guard::new().unwrap();
    guard.add(path(&device), Permission::READ).unwrap();
    let path = path(&device);
    let read = in_thread(move || {
        let mut file = File::open(path)?;
        file.read_to_string(&mut String::new())
    });
    let request = asked(&guard).unwrap();
    assert_eq!(request.permission(), Permission::READ);
    request.deny().unwrap();
    let error = read.recv_timeout(patience()).unwrap().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

#[hil::test]
fn a_request_that_is_dropped_and_a_guard_that_is_closed_have_allowed_it(_: &mut Target) {
    let device = Device::first().unwrap();
    let _restore = restore_later(&device).unwrap();
    let guard = guard(&device).unwrap();
    let set = sets(&device);
    drop(asked(&guard).unwrap());
    set.recv_timeout(patience()).unwrap().unwrap();

    let set = [sets(&device), sets(&device)];
    // One of them has asked, and nobody has looked at it.
    assert!(poll(&guard, Interest::READABLE, PATIENCE).unwrap().readable);
    drop(guard);
    for set in set {
        set.recv_timeout(patience()).unwrap().unwrap();
    }
}

#[hil::test]
fn a_guard_that_is_killed_blocks_nobody(_: &mut Target) {
    let test = "a_guard_that_is_killed_blocks_nobody";
    let device = Device::first().unwrap();
    if let Some(role) = role() {
        let guard = guard(&device).unwrap();
        role.ready().unwrap();
        let _request = asked(&guard).unwrap();
        // For ever: it is killed.
        return role.wait().unwrap();
    }
    let _restore = restore_later(&device).unwrap();
    let mut client = Client::start(test, "guard").unwrap();
    let set = sets(&device);
    assert!(set.recv_timeout(SHORT).is_err(), "nobody guards it");
    client.signal(Signal::SIGKILL).unwrap();
    assert_eq!(client.end().unwrap().code(), None);
    set.recv_timeout(patience()).unwrap().unwrap();
}

#[hil::test]
fn a_client_that_is_killed_while_it_waits_leaves_the_guard_at_work(_: &mut Target) {
    if let Some(role) = role() {
        return be_the_client(&role);
    }
    let mut client = client(
        "a_client_that_is_killed_while_it_waits_leaves_the_guard_at_work",
        "set",
    );
    let device = Device::first().unwrap();
    let _restore = restore_later(&device).unwrap();
    let guard = guard(&device).unwrap();
    client.go().unwrap();
    let request = asked(&guard).unwrap();
    client.signal(Signal::SIGKILL).unwrap();
    assert_eq!(client.end().unwrap().code(), None);
    // Nobody hears it.
    request.deny().unwrap();

    let set = sets(&device);
    asked(&guard).unwrap().allow().unwrap();
    set.recv_timeout(patience()).unwrap().unwrap();
}

#[hil::test]
fn who_asks_for_what_cannot_be_shown_is_refused(_: &mut Target) {
    // It can be written only, and nobody writes to it here.
    let bus_device = Device::first().unwrap();
    let driver = bus_device
        .attributes()
        .directory()
        .path()
        .join("device/driver/unbind");
    let guard = Guard::new().unwrap();
    guard.add(&driver, Permission::OPEN).unwrap();
    let opened = in_thread(move || File::options().write(true).open(driver));
    let shown = guard.next(PATIENCE);
    assert!(shown.is_err(), "{shown:?}");
    let error = opened.recv_timeout(patience()).unwrap().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

#[hil::test(timeout = "60 s")]
fn many_clients_at_once_get_each_its_own_answer(_: &mut Target) {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 25;
    let device = Device::first().unwrap();
    let _restore = restore_later(&device).unwrap();
    let guard = guard(&device).unwrap();
    let path = path(&device);
    let asked = AtomicUsize::new(0);
    let (opened, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let attempt = File::open(&path).map_err(|error| error.raw_os_error());
                    match attempt {
                        Ok(_) => opened.fetch_add(1, Ordering::Relaxed),
                        Err(Some(libc::EPERM)) => refused.fetch_add(1, Ordering::Relaxed),
                        Err(other) => panic!("{other:?}"),
                    };
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while asked.load(Ordering::Relaxed) < CLIENTS * ROUNDS {
                    let Some(request) = guard.next(Some(SHORT)).unwrap() else {
                        continue;
                    };
                    // Every fourth one.
                    if asked.fetch_add(1, Ordering::Relaxed) % 4 == 0 {
                        request.deny().unwrap();
                    } else {
                        request.allow().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(refused.into_inner(), CLIENTS * ROUNDS / 4);
    assert_eq!(opened.into_inner(), CLIENTS * ROUNDS * 3 / 4);
}

#[hil::test(timeout = "60 s")]
fn a_guard_s_wait_does_not_end_because_another_thread_was_faster(_: &mut Target) {
    const ROUNDS: usize = 100;
    let device = Device::first().unwrap();
    let _restore = restore_later(&device).unwrap();
    let guard = guard(&device).unwrap();
    let path = path(&device);
    let asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while asked.load(Ordering::Relaxed) < ROUNDS {
                    let start = Instant::now();
                    match guard.next(Some(SHORT)).unwrap() {
                        Some(request) => {
                            asked.fetch_add(1, Ordering::Relaxed);
                            request.allow().unwrap();
                        }
                        None => assert!(start.elapsed() >= SHORT),
                    }
                }
            });
        }
        for _ in 0..ROUNDS {
            // All of them sleep by then, and each is woken up for what one will get.
            thread::sleep(Duration::from_millis(5));
            File::open(&path).unwrap();
        }
    });
    assert_eq!(asked.into_inner(), ROUNDS);
}

hil::main!();
