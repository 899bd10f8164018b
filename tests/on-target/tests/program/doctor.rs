// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup-target doctor`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dmacopy_client::{Device, Upcall};
use hil::Target;
use kernel_channels::ROOMS;
use nix::mount::{MsFlags, mount};
use on_target::{Called, Result, Stalled, Unloaded, call, program};
use serde_json::Value;

/// A user that owns nothing.
const NOBODY: u32 = 65534;

/// What was found, by what it is about.
struct Found(Vec<Value>);

impl Found {
    /// The findings of a call that ends with this code.
    fn of(called: &Called, code: i32) -> Result<Self> {
        assert_eq!(called.code, Some(code), "{called:?}");
        let document = called.json()?;
        assert_eq!(document["ok"], code == 0);
        let findings = document["findings"].as_array().ok_or("no findings")?;
        Ok(Self(findings.clone()))
    }

    fn look(code: i32) -> Result<Self> {
        Self::of(&call("doctor --json")?, code)
    }

    /// State, reason and command of a finding.
    fn get(&self, area: &str, what: &str) -> (String, String, String) {
        let is_it = |found: &&Value| found["area"] == area && found["what"] == what;
        let found = self.0.iter().find(is_it);
        let found = found.unwrap_or_else(|| panic!("no {area} {what} in {:?}", self.0));
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("state"), text("why"), text("mend"))
    }

    fn state(&self, area: &str, what: &str) -> String {
        self.get(area, what).0
    }
}

#[hil::test]
fn a_board_with_its_driver_lacks_nothing_that_a_room_needs(_: &mut Target) {
    let found = Found::look(0).unwrap();
    for room in ROOMS {
        let (state, why, _) = found.get("room", room);
        assert_eq!(state, "ok", "{room}: {why}");
    }
    for filesystem in ["proc", "sysfs", "devtmpfs", "tracefs", "debugfs"] {
        assert_eq!(found.state("mount", filesystem), "ok", "{filesystem}");
    }
    let device = Device::first().unwrap();
    let node = device.node().to_str().unwrap();
    assert!(found.get("node", node).1.starts_with("mode 0660"));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(found.get("kernel", "release").1, release.trim());
}

#[hil::test]
fn to_look_changes_nothing(_: &mut Target) {
    let device = Device::first().unwrap();
    let upcall = Upcall::of(&device).unwrap();
    let state = || {
        let attributes = device.attributes();
        let taint = fs::read_to_string("/proc/sys/kernel/tainted").unwrap();
        let counters = attributes.counters().unwrap();
        let sessions = attributes.sessions().unwrap();
        (counters, sessions, upcall.is_enabled().unwrap(), taint)
    };
    let before = state();
    Found::look(0).unwrap();
    assert_eq!(state(), before);
}

#[hil::test]
fn without_the_driver_its_rooms_are_problems_and_the_others_are_not(_: &mut Target) {
    let unloaded = Unloaded::new().unwrap();
    let found = Found::look(1);
    unloaded.reload().unwrap();
    let found = found.unwrap();
    let (state, why, mend) = found.get("driver", "module dmacopy");
    assert_eq!((state.as_str(), why.as_str()), ("problem", "is not loaded"));
    assert!(mend.contains("dmacopy"), "{mend}");
    for room in ["chardev", "ioctl", "mmap", "sysfs", "debugfs"] {
        let (state, _, of_room) = found.get("room", room);
        assert_eq!((state.as_str(), &of_room), ("problem", &mend), "{room}");
    }
    for room in ["netlink", "procfs", "tracepoint", "bpf"] {
        assert_eq!(found.state("room", room), "problem", "{room}");
    }
    for room in ["futex", "eventfd", "uevent"] {
        assert_eq!(found.state("room", room), "ok", "{room}");
    }
}

/// The program where any user can start it: the one that tests use may lie in a folder of root's.
fn for_all(target: &mut Target) -> Result<Command> {
    let for_all = Permissions::from_mode(0o755);
    let folder = target.folder()?;
    fs::set_permissions(folder, for_all.clone())?;
    let copy = folder.join("bringup-target");
    fs::copy(program("")?.get_program(), &copy)?;
    fs::set_permissions(&copy, for_all)?;
    Ok(Command::new(copy))
}

#[hil::test]
fn an_ordinary_user_is_told_how_to_be_let_in(target: &mut Target) {
    let mut command = for_all(target).unwrap();
    command.args(["doctor", "--json"]).uid(NOBODY).gid(NOBODY);
    let called = Called::of(command.output().unwrap()).unwrap();
    let found = Found::of(&called, 1).unwrap();
    let device = Device::first().unwrap();
    let (state, why, mend) = found.get("node", device.node().to_str().unwrap());
    assert_eq!(state, "problem");
    assert!(why.contains("user 65534 may not open it"), "{why}");
    assert!(mend.contains("usermod -aG"), "{mend}");
    for room in ["chardev", "upcall", "bpf", "debugfs"] {
        let (state, why, mend) = found.get("room", room);
        let expected = ("problem", "sudo bringup-target doctor");
        assert_eq!((state.as_str(), mend.as_str()), expected, "{room}: {why}");
    }
    for room in ["netlink", "procfs", "sysfs", "uevent"] {
        assert_eq!(found.state("room", room), "ok", "{room}");
    }
    let (state, why, _) = found.get("user", "65534");
    assert_eq!(state, "absent");
    assert!(why.contains("CAP_SYS_ADMIN"), "{why}");

    // What it cannot do it is told by whom it can be done.
    chown(device.node(), Some(NOBODY), None).unwrap();
    let mut command = Command::new(command.get_program());
    command.args(["channel", "seccomp"]).uid(NOBODY).gid(NOBODY);
    let called = command.output();
    chown(device.node(), Some(0), None).unwrap();
    let called = Called::of(called.unwrap()).unwrap();
    assert_eq!(called.code, Some(1), "{called:?}");
    let mended = called
        .output
        .contains("sudo bringup-target channel seccomp");
    assert!(mended, "{called:?}");
}

#[hil::test]
fn a_node_that_is_open_to_everybody_is_a_problem(_: &mut Target) {
    let device = Device::first().unwrap();
    let before = fs::metadata(device.node()).unwrap().permissions();
    fs::set_permissions(device.node(), Permissions::from_mode(0o666)).unwrap();
    let called = call("doctor --json");
    fs::set_permissions(device.node(), before).unwrap();
    let found = Found::of(&called.unwrap(), 1);
    let node = device.node().to_str().unwrap();
    let (state, why, mend) = found.unwrap().get("node", node);
    assert_eq!(state, "problem");
    assert!(why.starts_with("mode 0666"), "{why}");
    assert_eq!(mend, format!("chmod 0660 {node}"));
}

#[hil::test]
fn a_member_of_the_group_that_is_not_let_in_is_told_how(target: &mut Target) {
    let device = Device::first().unwrap();
    let before = fs::metadata(device.node()).unwrap();
    let mut command = for_all(target).unwrap();
    command.args(["doctor", "--json"]).uid(NOBODY).gid(NOBODY);
    chown(device.node(), None, Some(NOBODY)).unwrap();
    fs::set_permissions(device.node(), Permissions::from_mode(0o600)).unwrap();
    let called = command.output();
    fs::set_permissions(device.node(), before.permissions()).unwrap();
    chown(device.node(), None, Some(before.gid())).unwrap();
    let found = Found::of(&Called::of(called.unwrap()).unwrap(), 1).unwrap();
    let node = device.node().to_str().unwrap();
    let (state, why, mend) = found.get("node", node);
    assert_eq!(state, "problem", "{why}");
    assert_eq!(mend, format!("chmod 0660 {node}"));
}

#[hil::test]
fn settings_that_nobody_can_write_are_a_problem(_: &mut Target) {
    let sys = |more| {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | more;
        mount(None::<&str>, "/sys", None::<&str>, flags, None::<&str>)
    };
    sys(MsFlags::MS_RDONLY).unwrap();
    let called = call("doctor --json");
    sys(MsFlags::empty()).unwrap();
    let found = Found::of(&called.unwrap(), 1).unwrap();
    for (area, what) in [
        ("mount", "sysfs"),
        ("room", "sysfs"),
        ("room", "upcall"),
        ("room", "uevent"),
    ] {
        let (state, why, mend) = found.get(area, what);
        let expected = ("problem", "mount -o remount,rw /sys");
        assert_eq!((state.as_str(), mend.as_str()), expected, "{what}: {why}");
        assert!(why.contains("mounted read-only"), "{what}: {why}");
    }
    assert_eq!(found.state("room", "procfs"), "ok");
}

#[hil::test]
fn an_engine_that_has_stalled_is_a_problem(_: &mut Target) {
    let device = Device::first().unwrap();
    let session = device.session().unwrap();
    let stalled = Stalled::new(&device, Duration::from_millis(50)).unwrap();
    session.copy(0, 2048, 1).unwrap_err();
    let found = Found::look(1);
    stalled.lift().unwrap();
    session.copy(0, 2048, 1).unwrap();
    let engine = format!("engine of {}", device.name());
    let (state, why, _) = found.unwrap().get("driver", &engine);
    assert_eq!(state, "problem");
    assert!(why.ends_with(", stalled"), "{why}");
}

#[hil::test]
fn options_of_the_kernel_are_told_where_they_are_written_down_and_else_unknown(_: &mut Target) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let path = format!("/boot/config-{}", release.trim());
    if [path.as_str(), "/proc/config.gz"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        assert_eq!(Found::look(0).unwrap().state("kernel", "options"), "ok");
        return;
    }
    assert_eq!(
        Found::look(0).unwrap().state("kernel", "options"),
        "unknown"
    );

    fs::create_dir_all("/boot").unwrap();
    let options = "CONFIG_MODULES=y\nCONFIG_RUST=y\nCONFIG_NET=y\n# CONFIG_FUTEX is not set\n";
    fs::write(&path, options).unwrap();
    let called = call("doctor --json");
    fs::remove_file(&path).unwrap();
    let found = Found::of(&called.unwrap(), 1).unwrap();
    let (state, why, _) = found.get("kernel", "options");
    assert_eq!(state, "ok");
    assert!(why.ends_with(&path), "{why}");
    let (state, why, _) = found.get("room", "futex");
    assert_eq!(state, "problem");
    assert_eq!(why, "the kernel was built without CONFIG_FUTEX");
    assert_eq!(found.state("room", "uevent"), "ok");
}

#[hil::test]
fn colours_are_for_who_wants_them(_: &mut Target) {
    let output = |variables: &[&str]| {
        let mut command = program("doctor").unwrap();
        command.envs(variables.iter().map(|name| (name, "1")));
        Called::of(command.output().unwrap()).unwrap().output
    };
    assert!(!output(&[]).contains('\u{1b}'));
    assert!(output(&["CLICOLOR_FORCE"]).contains("\u{1b}[32mok"));
    assert!(!output(&["CLICOLOR_FORCE", "NO_COLOR"]).contains('\u{1b}'));
}
