// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel: which one, what is known of its options, whether it has complained, and what it
//! forbids.

use super::finding::{Finding, State};
use super::options::Options;
use super::system::System;

const AREA: &str = "kernel";

/// What the driver's module needs, besides what the rooms need.
const NEEDED: [&str; 2] = ["CONFIG_MODULES", "CONFIG_RUST"];

/// What a kernel may be tainted with by its bit, and whether that says that something went wrong.
/// Reference: <https://docs.kernel.org/admin-guide/tainted-kernels.html>
const TAINTS: [(u32, &str, bool); 19] = [
    (0, "a proprietary module", false),
    (1, "a module that was forced in", true),
    (2, "a processor that is out of its specification", true),
    (3, "a module that was forced out", true),
    (4, "a machine check", true),
    (5, "a bad page", true),
    (6, "user space, on request", false),
    (7, "an oops or BUG", true),
    (8, "an ACPI table that was replaced", false),
    (9, "a warning", true),
    (10, "a staging driver", false),
    (11, "a workaround for bad firmware", false),
    (12, "an out-of-tree module", false),
    (13, "an unsigned module", false),
    (14, "a soft lockup", true),
    (15, "a live patch", false),
    (16, "the distribution", false),
    (17, "randomised structures", false),
    (18, "a test of the kernel", false),
];

pub(super) fn look(system: &System, options: &Options) -> Vec<Finding> {
    vec![
        release(system),
        built_with(system, options),
        taint(system),
        lockdown(system),
    ]
}

fn release(system: &System) -> Finding {
    match system.release() {
        Some(release) => Finding::new(AREA, "release", State::Ok, release),
        None => Finding::new(AREA, "release", State::Problem, "/proc tells none")
            .mend("mount -t proc proc /proc"),
    }
}

fn built_with(system: &System, options: &Options) -> Finding {
    let what = "options";
    let Some(from) = &options.from else {
        let release = system.release().unwrap_or_default();
        let why = format!(
            "neither /proc/config.gz nor /boot/config-{release} is there; what the rooms need is \
             tried instead"
        );
        return Finding::new(AREA, what, State::Unknown, why);
    };
    let missing = options.missing(&NEEDED);
    if missing.is_empty() {
        let why = format!("{} are set, in {from}", NEEDED.join(" and "));
        return Finding::new(AREA, what, State::Ok, why);
    }
    let why = format!("{} are not set, in {from}", missing.join(" and "));
    Finding::new(AREA, what, State::Problem, why)
        .mend("cargo bringup demo   # on the PC: boots a kernel that has them")
}

fn taint(system: &System) -> Finding {
    let what = "taint";
    let Some(taint) = system.text("/proc/sys/kernel/tainted") else {
        return Finding::new(AREA, what, State::Unknown, "/proc does not tell");
    };
    let Ok(taint) = taint.parse::<u64>() else {
        return Finding::new(AREA, what, State::Unknown, format!("it is {taint:?}"));
    };
    let set = TAINTS.iter().filter(|(bit, ..)| taint & (1 << bit) != 0);
    let names: Vec<_> = set.clone().map(|(_, name, _)| *name).collect();
    let known = TAINTS.iter().fold(0, |known, (bit, ..)| known | (1 << bit));
    let unknown = taint & !known;
    let is_bad = set.clone().any(|(.., is_bad)| *is_bad) || unknown != 0;
    let mut why = match names.len() {
        0 => "none".to_owned(),
        _ => format!("{taint}: {}", names.join(", ")),
    };
    if unknown != 0 {
        why += &format!(", and {unknown:#x}, which this program does not know");
    }
    if is_bad {
        return Finding::new(AREA, what, State::Problem, why).mend(
            "dmesg --level=emerg,alert,crit,err,warn   # says why; only a restart takes it back",
        );
    }
    Finding::new(AREA, what, State::Ok, why)
}

fn lockdown(system: &System) -> Finding {
    let what = "lockdown";
    let Some(text) = system.text("/sys/kernel/security/lockdown") else {
        let why = "/sys/kernel/security/lockdown does not tell";
        return Finding::new(AREA, what, State::Unknown, why)
            .mend("mount -t securityfs securityfs /sys/kernel/security");
    };
    let chosen = text.split(['[', ']']).nth(1).unwrap_or(&text);
    let why = match chosen {
        "none" => return Finding::new(AREA, what, State::Ok, "none"),
        "integrity" => "integrity: a module without a signature cannot be loaded",
        "confidentiality" => "confidentiality: BPF, perf, tracefs and debugfs are closed, too",
        other => other,
    };
    Finding::new(AREA, what, State::Problem, why)
        .mend("cat /proc/cmdline   # start without lockdown=, and without Secure Boot")
}

#[cfg(test)]
mod tests {
    use super::super::system::system;
    use super::*;

    fn state(look: fn(&System) -> Finding, path: &str, text: &str) -> (State, String) {
        let (_folder, system) = system(&[(path, text)]);
        let finding = look(&system);
        (finding.state(), finding.text())
    }

    #[test]
    fn a_kernel_without_a_release_is_a_problem() {
        let (found, text) = state(release, "/proc/sys/kernel/osrelease", "7.3.4\n");
        assert_eq!(found, State::Ok);
        assert!(text.contains("7.3.4"), "{text}");
        let finding = release(&System::new("/nowhere"));
        assert_eq!(finding.state(), State::Problem);
        assert!(finding.text().contains("mount -t proc proc /proc"));
    }

    #[test]
    fn an_unsigned_module_is_no_problem_and_a_warning_is() {
        let of = |taint| state(taint_of, "/proc/sys/kernel/tainted", taint);
        let taint_free = of("0\n");
        assert_eq!(taint_free.0, State::Ok);
        let (state, text) = of("12288\n");
        assert_eq!(state, State::Ok);
        assert!(
            text.contains("an out-of-tree module, an unsigned module"),
            "{text}"
        );
        for bad in ["512", "128", "12800", "1073741824"] {
            assert_eq!(of(bad).0, State::Problem, "{bad}");
        }
        assert_eq!(of("much").0, State::Unknown);
    }

    fn taint_of(system: &System) -> Finding {
        taint(system)
    }

    #[test]
    fn a_lockdown_is_explained_and_without_securityfs_it_is_unknown() {
        let of = |text| state(lockdown, "/sys/kernel/security/lockdown", text);
        assert_eq!(of("[none] integrity confidentiality\n").0, State::Ok);
        let (state, text) = of("none [integrity] confidentiality\n");
        assert_eq!(state, State::Problem);
        assert!(text.contains("signature"), "{text}");
        let (state, text) = of("none integrity [confidentiality]\n");
        assert_eq!(state, State::Problem);
        assert!(text.contains("BPF, perf, tracefs and debugfs"), "{text}");
        assert_eq!(of("[other]\n").0, State::Problem);
        assert_eq!(lockdown(&System::new("/nowhere")).state(), State::Unknown);
    }

    #[test]
    fn options_that_are_written_down_nowhere_are_unknown_and_missing_ones_a_problem() {
        let (_folder, nothing) = system(&[("/proc/sys/kernel/osrelease", "7.3")]);
        let finding = built_with(&nothing, &Options::read(&nothing));
        assert_eq!(finding.state(), State::Unknown);
        assert!(finding.text().contains("/boot/config-7.3 "));

        let boot = |text| {
            system(&[
                ("/proc/sys/kernel/osrelease", "7.3"),
                ("/boot/config-7.3", text),
            ])
        };
        let (_folder, without) = boot("CONFIG_MODULES=y\n");
        let finding = built_with(&without, &Options::read(&without));
        assert_eq!(finding.state(), State::Problem);
        let (_folder, with) = boot("CONFIG_MODULES=y\nCONFIG_RUST=y\n");
        let finding = built_with(&with, &Options::read(&with));
        assert_eq!(finding.state(), State::Ok);
    }
}
