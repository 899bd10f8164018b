// SPDX-License-Identifier: MIT OR Apache-2.0

//! Clients that confine themselves, by seccomp and Landlock, and a BPF program that is a security
//! module.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::thread;

use dmacopy_client::{Device, Rings, Session};
use dmacopy_uapi::ioctl;
use hil::Target;
use kernel_channels::bpf::programs::Refused;
use kernel_channels::bpf::{Array, Code, Hook, Kind, Program, Refusal, Register};
use kernel_channels::seccomp::{
    Access, Action, Confinement, Enforced, Filter, RUNTIME, Strictness, version,
};
use kernel_channels::syscall::{self, Call, Flags};
use kernel_channels::{Error, Interest};
use nix::sys::signal::Signal;
use on_target::{
    Client, Errno, PATIENCE, Result, Role, interrupted_by, nop, pattern, role, small_copy, submit,
};

/// Calls something in a thread that has confined itself before.
fn confined<T: Send>(confine: impl FnOnce() + Send, call: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            confine();
            call()
        });
        thread.join().unwrap()
    })
}

/// Allows what Rust needs, some calls, and some requests.
fn filter(calls: &[Call], requests: &[u32]) -> Filter {
    Filter::new(Action::Errno(77))
        .allow(RUNTIME)
        .allow(calls)
        .allow_requests(requests)
}

fn apply(filter: &Filter) {
    filter.compile().unwrap().restrict_this_thread().unwrap();
}

fn with_rings() -> (Session, Rings) {
    let session = Device::first().unwrap().session().unwrap();
    let rings = session.rings().unwrap();
    (session, rings)
}

/// Confines itself to copies by the rings, copies, and does what its role says.
fn be_confined(role: &Role) -> Result<()> {
    let (session, mut rings) = with_rings();
    let mut buffer = session.buffer()?;
    buffer.write(0, &pattern(9, 64))?;
    let filter = Filter::new(Action::Kill)
        .allow(RUNTIME)
        .allow(&[Call::READ, Call::WRITE])
        .allow_requests(&[ioctl::SUBMIT]);
    apply(&filter);
    submit(&mut rings, &session, &[small_copy(1)], 1)?;
    assert_eq!(rings.pop()?.ok_or("no completion")?.errno, None);
    assert_eq!(buffer.copy_to_vec(1024, 64)?, pattern(9, 64));
    role.ready()?;
    role.wait()?;
    match role.name.as_str() {
        "asks" => drop(session.info()),
        "opens" => drop(File::open("/proc/version")),
        "copies" => {
            submit(&mut rings, &session, &[nop(2)], 1)?;
            let copied = rings.pop()?.ok_or("no completion")?.errno.is_none();
            std::process::exit(if copied { 42 } else { 1 });
        }
        other => return Err(format!("no role {other}").into()),
    }
    std::process::exit(0);
}

#[hil::test]
fn a_client_that_is_confined_to_its_copies_is_killed_by_anything_else(_: &mut Target) {
    if let Some(role) = role() {
        return be_confined(&role).unwrap();
    }
    let test = "a_client_that_is_confined_to_its_copies_is_killed_by_anything_else";
    let device = Device::first().unwrap();
    for (does, signal, code) in [
        ("copies", None, Some(42)),
        ("asks", Some(libc::SIGSYS), None),
        ("opens", Some(libc::SIGSYS), None),
    ] {
        let mut client = Client::start(test, does).unwrap();
        assert_eq!(device.attributes().sessions().unwrap(), 1);
        client.go().unwrap();
        let status = client.end().unwrap();
        assert_eq!((status.signal(), status.code()), (signal, code), "{does}");
        assert_eq!(device.attributes().sessions().unwrap(), 0);
    }
}

#[hil::test]
fn requests_are_allowed_one_by_one(_: &mut Target) {
    let (session, mut rings) = with_rings();
    rings.push(&nop(1)).unwrap();
    let (info, copy, taken) = confined(
        || apply(&filter(&[], &[ioctl::INFO, ioctl::SUBMIT])),
        || {
            let copy = session.copy(0, 2048, 64).errno();
            (
                session.info().errno(),
                copy,
                rings.submit(&session, 1).unwrap(),
            )
        },
    );
    assert_eq!((info, copy, taken), (None, Some(77), 1));
    // What one thread has given up, the others have.
    session.copy(0, 2048, 64).unwrap();
}

#[hil::test]
fn a_call_is_allowed_with_some_flags_and_not_with_others(_: &mut Target) {
    let (session, _) = with_rings();
    let no_wait = Filter::new(Action::Errno(78))
        .allow(RUNTIME)
        .allow_with(Call::PREADV2, 5, &[8]);
    let (with, without) = confined(
        || apply(&no_wait),
        || {
            let read = |flags| syscall::read(&session, &mut [0], None, flags).errno();
            (read(Flags::NO_WAIT), read(Flags::NONE))
        },
    );
    assert_eq!((with, without), (None, Some(78)));
}

#[hil::test]
fn a_filter_for_all_threads_restricts_those_that_run_already(_: &mut Target) {
    if let Some(role) = role() {
        let (session, _) = with_rings();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let other = thread::spawn(move || {
            // Until the filter is there.
            let _ = receiver.recv();
            session.info().errno()
        });
        role.ready().unwrap();
        let filter = filter(&[Call::WRITE], &[]).compile().unwrap();
        filter.restrict_all_threads().unwrap();
        drop(sender);
        let refused = other.join().unwrap() == Some(77);
        std::process::exit(if refused { 42 } else { 1 });
    }
    let test = "a_filter_for_all_threads_restricts_those_that_run_already";
    let mut client = Client::start(test, "threads").unwrap();
    assert_eq!(client.end().unwrap().code(), Some(42));
}

#[hil::test]
fn a_call_that_is_trapped_sends_a_signal_that_can_be_caught(_: &mut Target) {
    if let Some(role) = role() {
        if role.name == "catches" {
            interrupted_by(Signal::SIGSYS).unwrap();
        }
        role.ready().unwrap();
        apply(&Filter::new(Action::Trap).allow(RUNTIME));
        // It is not made, and returns what it finds.
        let _ = File::open("/proc/version");
        std::process::exit(42);
    }
    let test = "a_call_that_is_trapped_sends_a_signal_that_can_be_caught";
    for (does, signal, code) in [
        ("catches", None, Some(42)),
        ("does not", Some(libc::SIGSYS), None),
    ] {
        let status = Client::start(test, does).unwrap().end().unwrap();
        assert_eq!((status.signal(), status.code()), (signal, code), "{does}");
    }
}

#[hil::test]
fn a_filter_cannot_be_taken_back_and_only_narrowed(_: &mut Target) {
    let (session, _) = with_rings();
    let (wider, info) = confined(
        || apply(&filter(&[], &[ioctl::INFO])),
        || {
            let all = Filter::new(Action::Log).compile().unwrap();
            (all.restrict_this_thread().errno(), session.info().errno())
        },
    );
    assert_eq!((wider, info), (Some(77), None));
}

#[hil::test]
fn a_filter_that_makes_no_sense_is_refused(_: &mut Target) {
    let argument = Filter::new(Action::Kill).allow_with(Call::IOCTL, 6, &[1]);
    assert_eq!(argument.compile().errno(), Some(libc::EINVAL));
    let values: Vec<_> = (0..5000).collect();
    let long = Filter::new(Action::Kill).allow_requests(&values);
    assert_eq!(long.compile().errno(), Some(libc::E2BIG));
}

/// Landlock, all of which the board's kernel has.
fn landlock() -> Confinement {
    Confinement::new(Strictness::Required)
}

fn confine(confinement: Confinement) {
    assert_eq!(confinement.restrict_this_thread().unwrap(), Enforced::Fully);
}

fn open(path: impl AsRef<std::path::Path>, write: bool) -> Option<i32> {
    let opened = File::options().read(true).write(write).open(path);
    opened.err().and_then(|error| error.raw_os_error())
}

#[hil::test(requires("security-modules"))]
fn a_confined_thread_opens_its_node_and_nothing_else(_: &mut Target) {
    let device = Device::first().unwrap();
    let node = landlock()
        .allow(device.node(), Access::READ | Access::WRITE)
        .unwrap();
    let (own, other, folder) = confined(
        || confine(node),
        || {
            (
                open(device.node(), true),
                open("/dev/null", true),
                open("/dev", false),
            )
        },
    );
    assert_eq!(
        (own, other, folder),
        (None, Some(libc::EACCES), Some(libc::EACCES))
    );
    assert_eq!(open("/dev/null", true), None);
}

#[hil::test(requires("security-modules"))]
fn who_may_read_may_not_write(_: &mut Target) {
    let device = Device::first().unwrap();
    let attributes = device.attributes().directory().path().to_owned();
    let (read, write) = confined(
        || confine(landlock().allow(&attributes, Access::READ).unwrap()),
        || {
            let path = attributes.join("timeout_ms");
            (open(&path, false), open(&path, true))
        },
    );
    assert_eq!((read, write), (None, Some(libc::EACCES)));
}

#[hil::test(requires("security-modules"))]
fn a_folder_is_listed_and_changed_by_who_may(_: &mut Target) {
    let folder = std::env::temp_dir().join("on-target-seccomp");
    fs::create_dir(&folder).unwrap();
    let may = |access| {
        let confinement = landlock().allow(&folder, access).unwrap();
        confined(
            || confine(confinement),
            || {
                let entry = folder.join("entry");
                let made = fs::create_dir(&entry).and_then(|()| fs::remove_dir(entry));
                (fs::read_dir(&folder).is_ok(), made.is_ok())
            },
        )
    };
    let seen = [
        Access::READ | Access::CHANGE,
        Access::READ,
        Access::CHANGE,
        Access::WRITE,
    ]
    .map(may);
    fs::remove_dir(&folder).unwrap();
    assert_eq!(
        seen,
        [(true, true), (true, false), (false, true), (false, false)]
    );
}

#[hil::test(requires("security-modules"))]
fn requests_to_a_device_take_a_right_of_their_own(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = device.session().unwrap();
    let directory = device.attributes().directory().path();
    for (access, expected) in [
        (Access::READ | Access::WRITE, Some(libc::EACCES)),
        (Access::READ | Access::WRITE | Access::CONTROL, None),
    ] {
        let confinement = landlock().allow(device.node(), access).unwrap();
        let confinement = confinement.allow(directory, Access::READ).unwrap();
        let (opened, streamed, old) = confined(
            || confine(confinement),
            || {
                let session = device.session().unwrap();
                assert_eq!(session.write(&[5; 64]).unwrap(), 64);
                session.poll(Interest::READABLE, PATIENCE).unwrap();
                let streamed = session.read(&mut [0; 64]).unwrap() > 0;
                (session.info().errno(), streamed, before.info().errno())
            },
        );
        assert_eq!(opened, expected);
        assert!(streamed, "reading and writing are no requests");
        assert_eq!(old, None, "it was open before");
    }
}

#[hil::test(requires("security-modules"))]
fn the_kernel_enforces_all_that_is_required(_: &mut Target) {
    assert!(version().unwrap().unwrap() >= 5);
    let best = confined(
        || (),
        || {
            Confinement::new(Strictness::BestEffort)
                .restrict_this_thread()
                .unwrap()
        },
    );
    assert_eq!(best, Enforced::Fully);
    let nowhere = landlock().allow("/no/such/file", Access::READ);
    assert_eq!(nowhere.errno(), Some(libc::ENOENT));
}

#[hil::test(requires("security-modules"))]
fn the_seventeenth_confinement_of_a_thread_is_refused(_: &mut Target) {
    let errno = confined(
        || (0..16).for_each(|_| confine(landlock())),
        || landlock().restrict_this_thread().errno(),
    );
    assert_eq!(errno, Some(libc::E2BIG));
}

/// What refuses a request to a device, and its counter.
fn refusing(device: (u32, u32), request: u32, except: Option<u32>) -> Result<(Refusal, Array)> {
    let array = Array::new("refusals", 1)?;
    let refused = Refused {
        device,
        request,
        except,
    };
    Ok((Refusal::load("refuse", &refused, &array)?, array))
}

/// The functions of the kernel's that this process has programs attached to, in order.
fn attached() -> Vec<u32> {
    let descriptors = fs::read_dir("/proc/self/fdinfo").unwrap();
    // That of the folder itself has gone again.
    let texts = descriptors.filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok());
    let number = |text: String| {
        let of = |line: &str| line.strip_prefix("target_btf_id:")?.trim().parse().ok();
        text.lines().find_map(of)
    };
    let mut attached: Vec<_> = texts.filter_map(number).collect();
    attached.sort_unstable();
    attached
}

#[hil::test(requires("security-modules"))]
fn a_refusal_is_at_the_hook_of_programs_of_32_bits_too(_: &mut Target) {
    // None that would pass there can be built here, so the kernel is asked which hooks have one.
    let hook = |name| Hook::find(name).unwrap().function();
    let mut hooks = ["file_ioctl", "file_ioctl_compat"].map(hook);
    hooks.sort_unstable();
    let (refusal, _) = refusing((1, 3), ioctl::INFO, None).unwrap();
    assert!(attached().is_empty());
    let answering = refusal.answer().unwrap();
    assert_eq!(attached(), hooks);
    drop(answering);
    assert!(attached().is_empty());
}

#[hil::test(requires("security-modules"))]
fn a_bpf_program_refuses_one_request_and_counts_the_refusals(_: &mut Target) {
    let (session, mut rings) = with_rings();
    let device = syscall::identify(&session).unwrap().device;
    let (refusal, array) = refusing(device, ioctl::COPY, None).unwrap();
    session.copy(0, 2048, 64).unwrap();
    let answering = refusal.answer().unwrap();
    for count in 1..=5 {
        assert_eq!(session.copy(0, 2048, 64).errno(), Some(libc::EPERM));
        assert_eq!(array.read().unwrap(), [count]);
    }
    session.info().unwrap();
    submit(&mut rings, &session, &[small_copy(1)], 1).unwrap();
    drop(answering);
    session.copy(0, 2048, 64).unwrap();
    assert_eq!(array.read().unwrap(), [5]);
}

#[hil::test(requires("security-modules"))]
fn a_bpf_program_refuses_nothing_to_other_devices(_: &mut Target) {
    let (session, _) = with_rings();
    let (major, minor) = syscall::identify(&session).unwrap().device;
    for device in [(major, minor + 1), (major + 1, minor)] {
        let (refusal, array) = refusing(device, ioctl::INFO, None).unwrap();
        let _answering = refusal.answer().unwrap();
        session.info().unwrap();
        assert_eq!(array.read().unwrap(), [0]);
    }
}

#[hil::test(requires("security-modules"))]
fn a_reset_is_forbidden_to_all_but_one_process(_: &mut Target) {
    if role().is_some() {
        let session = Device::first().unwrap().session().unwrap();
        let errno = session.reset_engine().errno();
        role().unwrap().ready().unwrap();
        std::process::exit(errno.unwrap_or(0));
    }
    let test = "a_reset_is_forbidden_to_all_but_one_process";
    let (session, _) = with_rings();
    let device = syscall::identify(&session).unwrap().device;
    let this = std::process::id();
    let (refusal, array) = refusing(device, ioctl::RESET, Some(this)).unwrap();
    let _answering = refusal.answer().unwrap();
    session.reset_engine().unwrap();
    assert_eq!(array.read().unwrap(), [0]);
    let mut client = Client::start(test, "other").unwrap();
    assert_eq!(client.end().unwrap().code(), Some(libc::EPERM));
    assert_eq!(array.read().unwrap(), [1]);
}

#[hil::test(requires("security-modules"))]
fn many_threads_are_refused_and_each_refusal_is_counted(_: &mut Target) {
    let (session, _) = with_rings();
    let device = syscall::identify(&session).unwrap().device;
    let (refusal, array) = refusing(device, ioctl::INFO, None).unwrap();
    let _answering = refusal.answer().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(session.info().errno(), Some(libc::EPERM));
                }
            });
        }
    });
    assert_eq!(array.read().unwrap(), [400]);
}

#[hil::test(requires("security-modules"))]
fn a_hook_that_there_is_not_and_an_answer_that_is_none_are_refused(_: &mut Target) {
    let none = Hook::find("file_sing").unwrap_err();
    assert!(matches!(none, Error::Function { .. }), "{none}");
    // Only 0 and negative error numbers are answers.
    let mut code = Code::new();
    code.set(Register::R0, 1);
    code.exit();
    let hook = Kind::Hook(Hook::find("file_ioctl").unwrap());
    let refused = Program::load("one", hook, &code).unwrap_err();
    assert!(matches!(refused, Error::Verifier { .. }), "{refused}");
    let mut code = Code::new();
    code.set(Register::R0, 0);
    code.exit();
    let call = Program::load("call", Kind::Call, &code).unwrap();
    assert!(call.answer().is_err(), "it is for no hook");
}

hil::main!();
