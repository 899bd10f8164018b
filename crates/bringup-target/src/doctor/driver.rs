// SPDX-License-Identifier: MIT OR Apache-2.0

//! The driver: whether it is there, speaks this program's language, and lets this user in.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use dmacopy_uapi::ABI_VERSION;
use dmacopy_uapi::names::{CLASS, DRIVER, attribute, state};
use nix::unistd::{AccessFlags, access};

use super::finding::{Finding, State};
use super::system::System;
use super::user::User;

/// Of a node: nobody but its owner and its group.
const MODE: u32 = 0o660;

pub(super) fn look(system: &System, user: &User) -> Vec<Finding> {
    let module = module(system);
    let is_loaded = module.state() == State::Ok;
    let mut findings = vec![module];
    if !is_loaded {
        return findings;
    }
    let devices = system.numbered(&format!("/sys/class/{CLASS}"), DRIVER);
    if devices.is_empty() {
        let why = "the driver is loaded, and has found no device";
        let finding = Finding::new("driver", "devices", State::Problem, why);
        let command = format!("rmmod {DRIVER}; modprobe {DRIVER} always_software=1");
        findings.push(finding.mend(command));
    }
    for device in devices {
        findings.push(version(system, &device));
        findings.push(condition(system, &device));
        findings.push(node(system, user, &device));
    }
    findings
}

/// The command that loads the module.
pub(super) fn load(system: &System) -> String {
    let release = system.release().unwrap_or_default();
    let at = format!("/lib/modules/{release}");
    match system.exists(&format!("{at}/modules.dep")) {
        true => format!("modprobe {DRIVER}"),
        false => format!("insmod {at}/{DRIVER}.ko"),
    }
}

/// Whether the module is loaded, and what it taints the kernel with.
fn module(system: &System) -> Finding {
    let folder = format!("/sys/module/{DRIVER}");
    let what = format!("module {DRIVER}");
    // Without this file it is what the kernel's command line has for a module that is not there.
    let Some(init) = system.text(&format!("{folder}/initstate")) else {
        let finding = Finding::new("driver", what, State::Problem, "is not loaded");
        return finding.mend(load(system));
    };
    let users = system.text(&format!("{folder}/refcnt")).unwrap_or_default();
    let taint = system.text(&format!("{folder}/taint")).unwrap_or_default();
    let why = format!("{init}, used by {users}, taints the kernel with {taint:?}");
    let state = match init.as_str() {
        "live" => State::Ok,
        _ => State::Problem,
    };
    Finding::new("driver", what, state, why)
}

/// Whether both sides were built from the same ABI.
fn version(system: &System, device: &str) -> Finding {
    let read = |name| system.text(&format!("/sys/class/{CLASS}/{device}/{name}"));
    let what = format!("ABI of {device}");
    let driver = read(attribute::DRIVER_VERSION).unwrap_or_default();
    let abi = read(attribute::ABI_VERSION).unwrap_or_default();
    if abi == ABI_VERSION.to_string() {
        let why = format!("version {abi}, as this program; driver {driver}");
        return Finding::new("driver", what, State::Ok, why);
    }
    let why = format!("version {abi:?}, this program's is {ABI_VERSION}; driver {driver:?}");
    let mend = format!("rmmod {DRIVER}; insmod the {DRIVER}.ko that was built with this program");
    Finding::new("driver", what, State::Problem, why).mend(mend)
}

/// What its engine is doing.
fn condition(system: &System, device: &str) -> Finding {
    let read = |name| system.text(&format!("/sys/class/{CLASS}/{device}/{name}"));
    let engine = read(attribute::ENGINE).unwrap_or_default();
    let found = read(attribute::STATE).unwrap_or_default();
    let what = format!("engine of {device}");
    let why = format!("{engine}, {found}");
    match found.as_str() {
        state::RUNNING => Finding::new("driver", what, State::Ok, why),
        _ => {
            let mend = format!("bringup-target channel debugfs; dmesg | grep {device}");
            Finding::new("driver", what, State::Problem, why).mend(mend)
        }
    }
}

/// Whether the node is there, and is for whom it should be.
fn node(system: &System, user: &User, device: &str) -> Finding {
    let area = "node";
    let what = format!("/dev/{device}");
    let path = system.path(&what);
    let Ok(metadata) = fs::metadata(&path) else {
        return Finding::new(
            area,
            &what,
            State::Problem,
            "is missing, and sysfs has the device",
        )
        .mend("mount -t devtmpfs devtmpfs /dev");
    };
    if !metadata.file_type().is_char_device() {
        return Finding::new(area, &what, State::Problem, "is no character device")
            .mend(format!("rm {what}; rmmod {DRIVER}; modprobe {DRIVER}"));
    }
    let rights = Rights {
        mode: metadata.mode() & 0o777,
        owner: metadata.uid(),
        group: metadata.gid(),
        may_open: access(&path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok(),
    };
    rights.look(&what, user)
}

/// Who may open a node.
struct Rights {
    mode: u32,
    owner: u32,
    group: u32,
    /// This program.
    may_open: bool,
}

impl Rights {
    fn look(&self, what: &str, user: &User) -> Finding {
        let area = "node";
        let Self {
            mode,
            owner,
            group,
            may_open,
        } = *self;
        let why = format!("mode {mode:04o}, user {owner}, group {group}");
        if mode & !MODE != 0 {
            let why = format!("{why}: open to more than owner and group");
            return Finding::new(area, what, State::Problem, why)
                .mend(format!("chmod {MODE:04o} {what}"));
        }
        if may_open {
            return Finding::new(area, what, State::Ok, why);
        }
        let is_member = user.groups.iter().any(|one| one.as_raw() == group);
        let mend = if group == 0 {
            format!(
                "chgrp {DRIVER} {what}; usermod -aG {DRIVER} \"$(id -un {})\"",
                user.user
            )
        } else if is_member {
            format!("chmod {MODE:04o} {what}")
        } else {
            format!("usermod -aG {group} \"$(id -un {})\"", user.user)
        };
        let why = format!("{why}: user {} may not open it", user.user);
        Finding::new(area, what, State::Problem, why).mend(mend)
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::Gid;

    use super::super::system::system;
    use super::*;

    fn texts(files: &[(&str, &str)]) -> Vec<(State, String)> {
        let (_folder, system) = system(files);
        let findings = look(&system, &User::read(&system));
        findings
            .iter()
            .map(|one| (one.state(), one.text()))
            .collect()
    }

    #[test]
    fn a_module_that_is_not_loaded_is_the_only_finding() {
        let release = ("/proc/sys/kernel/osrelease", "7.3.4\n");
        let found = texts(&[release]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, State::Problem);
        assert!(found[0].1.contains("insmod /lib/modules/7.3.4/dmacopy.ko"));
        let found = texts(&[release, ("/lib/modules/7.3.4/modules.dep", "")]);
        assert!(found[0].1.contains("modprobe dmacopy"), "{found:?}");
    }

    #[test]
    fn a_module_that_is_coming_or_going_is_a_problem() {
        for (state, expected) in [
            ("live", State::Ok),
            ("coming", State::Problem),
            ("going", State::Problem),
        ] {
            let found = texts(&[("/sys/module/dmacopy/initstate", state)]);
            assert_eq!(found[0].0, expected, "{state}");
        }
    }

    #[test]
    fn a_node_is_a_character_device() {
        let (_folder, with) = system(&[("/dev/dmacopy0", "")]);
        let user = User::read(&with);
        let finding = node(&with, &user, "dmacopy0");
        assert_eq!(finding.state(), State::Problem);
        let text = finding.text();
        assert!(text.contains("is no character device"), "{text}");
        let text = node(&with, &user, "dmacopy1").text();
        assert!(text.contains("is missing"), "{text}");
    }

    #[test]
    fn a_node_is_for_its_owner_and_its_group_and_who_is_not_let_in_is_told_how() {
        let (_folder, with) = system(&[]);
        let mut user = User::read(&with);
        user.groups = vec![Gid::from_raw(4711)];
        let look = |mode, group, may_open| {
            let owner = 0;
            let rights = Rights {
                mode,
                owner,
                group,
                may_open,
            };
            let finding = rights.look("/dev/x", &user);
            let text = finding.text();
            let command = text.lines().nth(1).unwrap_or_default().trim().to_owned();
            (finding.state(), command)
        };
        assert_eq!(look(0o660, 0, true), (State::Ok, String::new()));
        assert_eq!(look(0o600, 0, true).0, State::Ok);
        for mode in [0o664, 0o662, 0o661, 0o666, 0o760, 0o670] {
            let expected = (State::Problem, "chmod 0660 /dev/x".to_owned());
            assert_eq!(look(mode, 0, true), expected, "{mode:o}");
        }
        let name = format!("\"$(id -un {})\"", user.user);
        let of_group = |group| look(0o600, group, false);
        let expected = format!("chgrp dmacopy /dev/x; usermod -aG dmacopy {name}");
        assert_eq!(of_group(0), (State::Problem, expected));
        let expected = "chmod 0660 /dev/x".to_owned();
        assert_eq!(of_group(4711), (State::Problem, expected));
        let expected = format!("usermod -aG 4712 {name}");
        assert_eq!(of_group(4712), (State::Problem, expected));
    }

    #[test]
    fn a_driver_of_another_abi_and_one_without_devices_are_problems() {
        let loaded = [
            ("/sys/module/dmacopy/initstate", "live\n"),
            ("/sys/module/dmacopy/refcnt", "0\n"),
        ];
        let found = texts(&loaded);
        assert_eq!(found.len(), 2);
        assert!(found[1].1.contains("always_software=1"), "{found:?}");

        let device = |abi: &'static str, state: &'static str| {
            let attributes = [
                ("/sys/class/misc/dmacopy0/abi_version", abi),
                ("/sys/class/misc/dmacopy0/state", state),
                ("/sys/class/misc/dmacopy0/engine", "software"),
            ];
            texts(&[&loaded[..], &attributes].concat())
        };
        let abi = ABI_VERSION.to_string();
        let good = device(abi.leak(), "running\n");
        let states: Vec<_> = good.iter().map(|(state, _)| *state).collect();
        // The node cannot be made here.
        assert_eq!(states, [State::Ok, State::Ok, State::Ok, State::Problem]);
        let bad = device("1\n", "stalled\n");
        assert_eq!(bad[1].0, State::Problem);
        assert!(
            bad[1].1.contains("version \"1\", this program's is"),
            "{bad:?}"
        );
        assert_eq!(bad[2].0, State::Problem);
    }
}
