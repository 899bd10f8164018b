// SPDX-License-Identifier: MIT OR Apache-2.0

//! The file systems by which the kernel talks.

use super::finding::{Finding, State};
use super::system::System;

const AREA: &str = "mount";

/// Type, where it belongs, and whether a room needs it.
const MOUNTS: [(&str, &str, bool); 8] = [
    ("proc", "/proc", true),
    ("sysfs", "/sys", true),
    ("devtmpfs", "/dev", true),
    ("tracefs", "/sys/kernel/tracing", true),
    ("debugfs", "/sys/kernel/debug", true),
    ("securityfs", "/sys/kernel/security", false),
    ("bpf", "/sys/fs/bpf", false),
    ("configfs", "/sys/kernel/config", false),
];

/// Those that rooms tell the kernel something by.
const WRITTEN: [&str; 3] = ["sysfs", "debugfs", "tracefs"];

pub(super) fn look(system: &System) -> Vec<Finding> {
    let mounts = system.text("/proc/mounts").unwrap_or_default();
    let known = system.text("/proc/filesystems").unwrap_or_default();
    MOUNTS
        .iter()
        .map(|(kind, point, is_needed)| one(&mounts, &known, kind, point, *is_needed))
        .collect()
}

fn one(mounts: &str, known: &str, kind: &str, point: &str, is_needed: bool) -> Finding {
    let mounted = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (at, found, options) = (fields.next()?, fields.next()?, fields.next()?);
        let is_read_only = options.split(',').any(|option| option == "ro");
        (found == kind).then_some((at, is_read_only))
    });
    if let Some((at, is_read_only)) = mounted {
        if is_read_only && WRITTEN.contains(&kind) {
            let why = format!("is mounted read-only on {at}, and rooms write to it");
            let finding = Finding::new(AREA, kind, State::Problem, why);
            return finding.mend(format!("mount -o remount,rw {at}"));
        }
        return Finding::new(AREA, kind, State::Ok, format!("mounted on {at}"));
    }
    let state = match is_needed {
        true => State::Problem,
        false => State::Absent,
    };
    let is_known = known
        .lines()
        .any(|line| line.split('\t').nth(1) == Some(kind));
    if is_known || known.is_empty() {
        return Finding::new(AREA, kind, state, "is not mounted")
            .mend(format!("mount -t {kind} {kind} {point}"));
    }
    Finding::new(
        AREA,
        kind,
        state,
        "the kernel does not know it, and may have it as a module",
    )
    .mend(format!("modprobe {kind}; mount -t {kind} {kind} {point}"))
}

#[cfg(test)]
mod tests {
    use super::super::system::system;
    use super::*;

    const MOUNTED: &str = "proc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\n\
        devtmpfs /dev devtmpfs rw 0 0\ntracefs /t tracefs rw 0 0\nbpffs /b bpf rw 0 0\n";
    const KNOWN: &str = "nodev\tsysfs\nnodev\tdebugfs\nnodev\tsecurityfs\n\text4\n";

    #[test]
    fn what_a_room_needs_is_a_problem_and_all_that_is_missing_has_its_command() {
        let files = [("/proc/mounts", MOUNTED), ("/proc/filesystems", KNOWN)];
        let (_folder, system) = system(&files);
        let findings = look(&system);
        let states: Vec<_> = findings.iter().map(Finding::state).collect();
        let (ok, absent) = (State::Ok, State::Absent);
        let expected = [ok, ok, ok, ok, State::Problem, absent, ok, absent];
        assert_eq!(states, expected);
        let text = |index: usize| findings[index].text();
        assert!(text(3).contains("mounted on /t"));
        assert!(text(4).contains("mount -t debugfs debugfs /sys/kernel/debug"));
        assert!(text(5).contains("mount -t securityfs securityfs /sys/kernel/security"));
        assert!(text(7).contains("modprobe configfs; mount -t configfs"));
    }

    #[test]
    fn what_rooms_write_to_must_not_be_read_only() {
        let of = |kind, options: &str| {
            let mounts = format!("{kind} /at {kind} {options} 0 0\n");
            one(&mounts, "", kind, "/at", true)
        };
        for kind in WRITTEN {
            let finding = of(kind, "ro,nosuid");
            assert_eq!(finding.state(), State::Problem, "{kind}");
            assert!(finding.text().contains("mount -o remount,rw /at"), "{kind}");
            assert_eq!(of(kind, "rw,nosuid,errors=ro").state(), State::Ok, "{kind}");
        }
        assert_eq!(of("devtmpfs", "ro").state(), State::Ok);
    }
}
