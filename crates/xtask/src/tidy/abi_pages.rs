// SPDX-License-Identifier: MIT OR Apache-2.0

//! Every name that user space sees has an entry in `kmod/ABI`, and every entry is about one.

use std::collections::BTreeSet;

use super::Fault;
use super::abi_names::Promise;
use crate::Tree;

const PAGES: &str = "kmod/ABI/";

/// Begins the line that says what an entry is about.
const WHAT: &str = "What:";

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let promise = match Promise::read(tree) {
        Ok(promise) => promise,
        Err(fault) => return vec![fault],
    };
    let mut faults = promise.faults;
    let mut described = BTreeSet::new();
    for page in tree.below(PAGES) {
        for (index, line) in page.text.lines().enumerate() {
            let Some(subject) = line.strip_prefix(WHAT).map(str::trim) else {
                continue;
            };
            let known =
                promise.required.contains_key(subject) || promise.permitted.contains(subject);
            if !known && is_ours_to_know(subject) {
                let what = format!("`{subject}` is not a name of the ABI");
                faults.push(Fault::new(&page.path, index + 1, what));
            }
            if !described.insert(subject.to_owned()) {
                let what = format!("`{subject}` has an entry already");
                faults.push(Fault::new(&page.path, index + 1, what));
            }
        }
    }
    for (subject, (path, line)) in &promise.required {
        if !described.contains(subject) {
            let what = format!("no entry in {PAGES} says `{WHAT} {subject}`");
            faults.push(Fault::new(path, *line, what));
        }
    }
    faults
}

/// Whether an entry is about something that is generated from the constants of the ABI. An entry
/// about a node in `/dev` as a whole is not.
fn is_ours_to_know(subject: &str) -> bool {
    let is_key = !subject.contains(|c: char| !c.is_ascii_uppercase() && c != '_');
    subject.starts_with("/sys/")
        || subject.starts_with("/proc/")
        || subject.contains(" ioctl ")
        || subject.starts_with("netlink ")
        || is_key
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const NAMES: &str = r#"
pub const DRIVER: &str = "copier";
pub const CLASS: &str = "misc";
pub const PARAMETER_FAST: &str = "fast";
pub const PROC_SUMMARY: &str = "driver/copier";
pub mod attribute {
    pub const STATE: &str = "state";
    pub const ALL: [&str; 1] = [STATE];
}
pub mod state { pub const RUNNING: &str = "running"; }
pub mod uevent { pub const STATE: &str = "COPIER_STATE"; }
pub mod tracepoint { pub const END: &str = "copier_end"; }
pub mod debugfs { pub const STALL: &str = "stall"; }
pub mod limits {
    pub const GROUP: &str = "limits";
    pub const BYTES: &str = "bytes";
    pub const ALL: [&str; 1] = [BYTES];
}
pub mod environment { pub const DEVICE: &str = "COPIER_DEVICE"; }
"#;
    const CODES: &str = "
pub const MAGIC: u8 = 0xdc;
const READ: u32 = 2;
pub const INFO: u32 = request::<Info>(READ, 0);
pub const COPY: u32 = request::<Copy>(READ | WRITE, 1);
const _: () = assert!(core::mem::size_of::<Info>() == 64);
const _: () = assert!(size_of::<Copy>() == 48);
";
    const MESSAGES: &str = "
pub const FAMILY: &str = \"copier\";
pub const VERSION: u8 = 1;
pub mod group { pub const EVENTS: &str = \"events\"; }
pub mod command { pub const GET_DEVICE: u8 = 1; }
pub mod attribute { pub const NUMBER: u16 = 2; }
pub mod state { pub const STALLED: u32 = 3; }
";
    const SUBJECTS: [&str; 14] = [
        "/sys/class/misc/copierN/limits/bytes",
        "COPIER_DEVICE",
        "/sys/class/misc/copierN/state",
        "/sys/kernel/debug/copier/copierN/stall",
        "/proc/driver/copier",
        "COPIER_STATE",
        "/sys/kernel/tracing/events/copier/copier_end",
        "/dev/copierN ioctl INFO, _IOR(0xdc, 0, 64 bytes)",
        "/dev/copierN ioctl COPY, _IOWR(0xdc, 1, 48 bytes)",
        "netlink copier version 1",
        "netlink copier group events",
        "netlink copier command get-device, 1",
        "netlink copier attribute number, 2",
        "netlink copier state stalled, 3",
    ];

    fn found(names: &str, subjects: &[&str]) -> Vec<String> {
        let entry = |subject: &&str| format!("What:\t\t{subject}\n");
        let page = subjects.iter().map(entry).collect::<Vec<_>>().concat();
        places(&check(&Tree::from([
            ("crates/dmacopy-uapi/src/abi/names.rs", names),
            ("crates/dmacopy-uapi/src/abi/ioctl.rs", CODES),
            ("crates/dmacopy-uapi/src/abi/netlink.rs", MESSAGES),
            ("kmod/ABI/copier", &page),
        ])))
    }

    #[test]
    fn pages_that_fit_the_names_pass() {
        assert!(found(NAMES, &SUBJECTS).is_empty());
        let more = ["/sys/module/copier/parameters/fast", "/dev/copierN"];
        assert!(found(NAMES, &[&SUBJECTS[..], &more].concat()).is_empty());
    }

    #[test]
    fn a_name_without_an_entry_is_found() {
        for missing in SUBJECTS {
            let mut subjects = SUBJECTS.to_vec();
            subjects.retain(|subject| *subject != missing);
            let places = found(NAMES, &subjects);
            assert_eq!(places.len(), 1, "{missing}: {places:?}");
            assert!(places[0].starts_with("crates/dmacopy-uapi/src/abi/"));
        }
    }

    #[test]
    fn an_entry_without_a_name_is_found() {
        for more in [
            "/sys/class/misc/copierN/sate",
            "/sys/kernel/debug/copier/other",
            "/proc/driver/copier2",
            "COPIER_SEQUENCE",
            "/dev/copierN ioctl INFO, _IOR(0xdc, 0, 56 bytes)",
            "/proc/driver/copier",
            "netlink copier attribute number, 3",
        ] {
            let places = found(NAMES, &[&SUBJECTS[..], &[more]].concat());
            assert_eq!(places, ["kmod/ABI/copier:15"], "{more}");
        }
    }

    #[test]
    fn an_attribute_that_is_not_listed_is_found() {
        let names = NAMES.replace("= [STATE]", "= [OTHER]");
        assert_eq!(
            found(&names, &SUBJECTS),
            ["crates/dmacopy-uapi/src/abi/names.rs:7"]
        );
        let names = NAMES.replace("= [BYTES]", "= [OTHER]");
        assert_eq!(
            found(&names, &SUBJECTS),
            ["crates/dmacopy-uapi/src/abi/names.rs:16"]
        );
    }

    #[test]
    fn an_abi_without_its_sources_is_found() {
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
