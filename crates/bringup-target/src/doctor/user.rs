// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who runs this, and what that user may do.

use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups};

use super::finding::{Finding, State};
use super::system::System;

/// What something here needs: the bit, the name, and what for.
/// Reference: `include/uapi/linux/capability.h`
const CAPABILITIES: [(Capability, &str, &str); 4] = [
    (Capability(16), "CAP_SYS_MODULE", "to load the driver"),
    (
        Capability::SYS_ADMIN,
        "CAP_SYS_ADMIN",
        "limits, upcall, RESET, debugfs, fanotify",
    ),
    (Capability(38), "CAP_PERFMON", "tracepoints by perf"),
    (Capability(39), "CAP_BPF", "BPF"),
];

/// A capability, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capability(u32);

impl Capability {
    pub(super) const SYS_ADMIN: Self = Self(21);
}

/// The user, as the kernel sees this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) user: Uid,
    pub(super) groups: Vec<Gid>,
    /// The effective ones, a bit for each.
    capabilities: u64,
}

impl User {
    pub(super) fn read(system: &System) -> Self {
        let status = system.text("/proc/self/status").unwrap_or_default();
        Self {
            user: geteuid(),
            groups: all_groups(getegid(), getgroups().unwrap_or_default()),
            capabilities: effective(&status),
        }
    }

    pub(super) fn has(&self, capability: Capability) -> bool {
        self.capabilities & (1 << capability.0) != 0
    }

    pub(super) fn look(&self) -> Finding {
        let what = format!("{}", self.user);
        let needed = CAPABILITIES.iter();
        let (has, lacks): (Vec<_>, Vec<_>) = needed.partition(|(bit, ..)| self.has(*bit));
        if lacks.is_empty() {
            let names: Vec<_> = has.iter().map(|(_, name, _)| *name).collect();
            return Finding::new("user", what, State::Ok, format!("has {}", names.join(", ")));
        }
        let lacks: Vec<_> = lacks
            .iter()
            .map(|(_, name, why)| format!("{name} ({why})"))
            .collect();
        let why = format!(
            "lacks {}; what that means for each room is below",
            lacks.join(", ")
        );
        Finding::new("user", what, State::Absent, why).mend("sudo bringup-target doctor")
    }
}

/// The group that a process has of its own counts as much as the others, and need not be among them.
fn all_groups(own: Gid, mut others: Vec<Gid>) -> Vec<Gid> {
    others.push(own);
    others
}

/// The effective capabilities, from `/proc/self/status`.
fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(capabilities: u64) -> User {
        User {
            user: Uid::from_raw(1000),
            groups: vec![Gid::from_raw(1000)],
            capabilities,
        }
    }

    #[test]
    fn the_own_group_is_one_of_the_groups() {
        let [own, other] = [1000, 27].map(Gid::from_raw);
        assert_eq!(all_groups(own, vec![other]), [other, own]);
    }

    #[test]
    fn the_effective_capabilities_count() {
        let status = "CapPrm:\t00000000ffffffff\nCapEff:\t0000000000200000\n";
        assert_eq!(effective(status), 1 << 21);
        assert_eq!(effective(""), 0);
        assert!(user(1 << 21).has(Capability::SYS_ADMIN));
        assert!(!user(!(1 << 21)).has(Capability::SYS_ADMIN));
    }

    #[test]
    fn what_a_user_lacks_is_told_with_what_it_is_for() {
        assert_eq!(user(u64::MAX).look().state(), State::Ok);
        let finding = user((1 << 21) | (1 << 16)).look();
        assert_eq!(finding.state(), State::Absent);
        let text = finding.text();
        assert!(text.contains("CAP_BPF (BPF)"), "{text}");
        assert!(!text.contains("CAP_SYS_MODULE"), "{text}");
    }
}
