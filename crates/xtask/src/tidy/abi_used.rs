// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the ABI promises, the driver does; and the driver gives user space no name of its own.
//!
//! With `abi_pages` this makes page, name and code one: each has the other two. Tracepoints and
//! functions for BPF programs are declared in C, which is compared by `abi_shim`.

use std::collections::BTreeSet;

use super::Fault;
use crate::rust_source::{Constant, Source, constants, words};
use crate::{File, Tree};

const NAMES: &str = "crates/dmacopy-uapi/src/abi/names.rs";
const REQUESTS: &str = "crates/dmacopy-uapi/src/abi/ioctl.rs";
const MESSAGES: &str = "crates/dmacopy-uapi/src/abi/netlink.rs";
const ROOT: &str = "kmod/dmacopy_main.rs";

/// Where the driver's part of a mechanism is: a constant of this source and module is used there, or
/// elsewhere by a name that tells the module.
const ROOMS: [(&str, &str, &str); 7] = [
    (NAMES, "attribute", "kmod/sysfs.rs"),
    (NAMES, "debugfs", "kmod/debugfs.rs"),
    (NAMES, "uevent", "kmod/uevent.rs"),
    (MESSAGES, "group", "kmod/netlink.rs"),
    (MESSAGES, "command", "kmod/netlink.rs"),
    (MESSAGES, "attribute", "kmod/netlink.rs"),
    (MESSAGES, "state", "kmod/health.rs"),
];

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut driver = Vec::new();
    for file in tree.below("kmod/").filter(|file| file.extension() == "rs") {
        driver.push((file, Source::new(&file.text)));
    }
    if driver.is_empty() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for path in [NAMES, REQUESTS, MESSAGES] {
        let Some(file) = tree.get(path) else {
            return vec![Fault::new(path, 1, "this source of the ABI is missing")];
        };
        for constant in constants(&file.text) {
            let used = match promised(path, &constant) {
                None => continue,
                Some(room) => is_used(&constant, path, room, &driver),
            };
            if !used {
                let what = format!("the driver does not use {}", path_of(&constant));
                faults.push(Fault::new(path, constant.line, what));
            }
        }
    }
    parameters(tree, &mut faults);
    for (file, source) in &driver {
        names(file, source, &mut faults);
    }
    faults
}

/// The file that has to use a constant, if it promises something.
fn promised(path: &str, constant: &Constant) -> Option<&'static str> {
    let is_value = constant.text().is_some() || path != NAMES;
    let room = ROOMS
        .iter()
        .find(|(source, module, _)| *source == path && *module == constant.module);
    let is_request = path == REQUESTS && constant.words().next() == Some("request");
    match room {
        Some((_, _, room)) if is_value => Some(room),
        _ if is_request => Some("kmod/ioctl.rs"),
        _ if path == NAMES && constant.name.starts_with("PROC_") => Some("kmod/procfs.rs"),
        _ => None,
    }
}

fn path_of(constant: &Constant) -> String {
    match constant.module.as_str() {
        "" => constant.name.clone(),
        module => format!("{module}::{}", constant.name),
    }
}

fn is_used(constant: &Constant, path: &str, room: &str, driver: &[(&File, Source)]) -> bool {
    driver.iter().any(|(file, source)| {
        // Both sources have attributes and states. What is said without the source in front is
        // netlink's in the one file, and that of the names everywhere else.
        let is_messages = path == MESSAGES;
        let name = match (file.path == room, file.path == "kmod/netlink.rs") {
            (true, _) => constant.name.clone(),
            (_, true) if !is_messages => format!("names::{}", path_of(constant)),
            _ if is_messages => format!("netlink::{}", path_of(constant)),
            _ => path_of(constant),
        };
        let is_plain = constant.module.is_empty() && file.path != room;
        !is_plain && words(&source.code, &name, "").next().is_some()
    })
}

/// The parameters of the module are those that the ABI names.
fn parameters(tree: &Tree, faults: &mut Vec<Fault>) {
    let (Some(root), Some(abi)) = (tree.get(ROOT), tree.get(NAMES)) else {
        return;
    };
    let code = Source::new(&root.text).code;
    let begin = code.find("params: {").map(|at| at + "params: {".len());
    let mut declared = BTreeSet::new();
    let mut depth = 0_u32;
    // A parameter is what stands before a colon, not within the braces of another.
    for line in code[begin.unwrap_or(code.len())..].lines() {
        if let (0, Some((name, _))) = (depth, line.split_once(':')) {
            declared.insert(name.trim().to_owned());
        }
        let count = |mark| u32::try_from(line.matches(mark).count()).unwrap_or(u32::MAX);
        depth = depth.saturating_add(count('{'));
        if depth < count('}') {
            break;
        }
        depth -= count('}');
    }
    for constant in constants(&abi.text) {
        let Some(text) = constant.text() else {
            continue;
        };
        let is_parameter = constant.module.is_empty() && constant.name.starts_with("PARAMETER_");
        if is_parameter && !declared.remove(text) {
            let what = format!("{ROOT} declares no parameter `{text}`");
            faults.push(Fault::new(NAMES, constant.line, what));
        }
    }
    for name in declared {
        let what = format!("the ABI has no PARAMETER_ for `{name}`");
        faults.push(Fault::new(ROOT, 1, what));
    }
}

/// Finds names in quotes. A text for people has blanks, and a name for developers colons.
fn names(file: &File, source: &Source, faults: &mut Vec<Fault>) {
    if file.path.starts_with("kmod/sys/") {
        return;
    }
    for (offset, _) in source.uncommented.match_indices("c\"") {
        let before = &source.uncommented[..offset];
        let is_literal = source.code[offset + 1..].starts_with([' ', '"']);
        if !is_literal || before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let text = &source.uncommented[offset + 2..];
        let text = text.split('"').next().unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
        if !text.is_empty() && text.chars().all(is_name) {
            let what = format!("`{text}` is a name: it belongs into the ABI");
            faults.push(Fault::at(file, offset, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const NAMES_TEXT: &str = "\
pub const PARAMETER_FAST: &str = \"fast\";
pub const PROC_SUMMARY: &str = \"driver/copier\";
pub mod attribute { pub const STATE: &str = \"state\"; pub const ALL: [&str; 1] = [STATE]; }
pub mod uevent { pub const STATE: &str = \"COPIER_STATE\"; }
pub mod debugfs { pub const STALL: &str = \"stall\"; }
pub mod engine { pub const SOFTWARE: &str = \"software\"; }
";
    const REQUESTS_TEXT: &str = "\
pub const MAGIC: u8 = 0xdc;
pub const INFO: u32 = request::<Info>(READ, 0);
";
    const MESSAGES_TEXT: &str = "\
pub const VERSION: u8 = 1;
pub mod command { pub const GET_DEVICE: u8 = 1; }
pub mod attribute { pub const STATE: u16 = 5; }
";
    const DRIVER: [(&str, &str); 7] = [
        ("kmod/sysfs.rs", "read_only!(State, STATE, device);"),
        ("kmod/debugfs.rs", "file(c_name!(names::debugfs::STALL))"),
        (
            "kmod/health.rs",
            "send(names::uevent::STATE, c\"no device\")",
        ),
        (
            "kmod/netlink.rs",
            "put(attribute::STATE); GET_DEVICE; c\"a::b\"",
        ),
        ("kmod/ioctl.rs", "ioctl::INFO => info()"),
        ("kmod/procfs.rs", "names::PROC_SUMMARY"),
        (
            "kmod/dmacopy_main.rs",
            "module! {\n params: {\n fast: bool {\n default: true,\n },\n },\n}\nother: u8,\n",
        ),
    ];

    /// What is found when some text of a file of the driver is another.
    fn found(path: &str, from: &str, to: &str) -> Vec<String> {
        let files = DRIVER.map(|(name, text)| {
            let text = if name == path {
                text.replace(from, to)
            } else {
                text.to_owned()
            };
            (name, text)
        });
        let mut all = vec![
            (NAMES, NAMES_TEXT.to_owned()),
            (REQUESTS, REQUESTS_TEXT.to_owned()),
            (MESSAGES, MESSAGES_TEXT.to_owned()),
        ];
        all.extend(files);
        let all: Vec<_> = all
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let all: [(&str, &str); 10] = all.try_into().unwrap();
        places(&check(&Tree::from(all)))
    }

    #[test]
    fn a_driver_that_does_what_the_abi_says_passes() {
        assert_eq!(found("", "", ""), [""; 0]);
    }

    #[test]
    fn what_the_driver_does_not_do_is_found() {
        for (path, name, place) in [
            ("kmod/sysfs.rs", "STATE", format!("{NAMES}:3")),
            ("kmod/health.rs", "uevent::STATE", format!("{NAMES}:4")),
            ("kmod/debugfs.rs", "STALL", format!("{NAMES}:5")),
            ("kmod/procfs.rs", "PROC_SUMMARY", format!("{NAMES}:2")),
            ("kmod/ioctl.rs", "INFO", format!("{REQUESTS}:2")),
            ("kmod/netlink.rs", "GET_DEVICE", format!("{MESSAGES}:2")),
            (
                "kmod/netlink.rs",
                "attribute::STATE",
                format!("{MESSAGES}:3"),
            ),
        ] {
            assert_eq!(found(path, name, "OTHER"), [place], "{path} {name}");
        }
        // A comment does nothing.
        let commented = found("kmod/procfs.rs", "names::", "// ");
        assert_eq!(commented, [format!("{NAMES}:2")]);
    }

    #[test]
    fn a_parameter_without_a_name_and_a_name_without_a_parameter_are_found() {
        let renamed = found(ROOT, "fast", "slow");
        assert_eq!(renamed, [format!("{NAMES}:1"), format!("{ROOT}:1")]);
        let more = found(
            ROOT,
            "params: {",
            "params: {\n more: u8 {\n default: 1,\n },",
        );
        assert_eq!(more, [format!("{ROOT}:1")]);
    }

    #[test]
    fn a_name_that_is_not_from_the_abi_is_found() {
        let literal = found(
            "kmod/debugfs.rs",
            "c_name!(names",
            "c\"trace\", c_name!(names",
        );
        assert_eq!(literal, ["kmod/debugfs.rs:1"]);
    }
}
