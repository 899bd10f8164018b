// SPDX-License-Identifier: MIT OR Apache-2.0

//! The netlink family's specification for the kernel's tools has the names and numbers of the ABI.

use std::collections::BTreeMap;

use super::Fault;
use crate::Tree;
use crate::rust_source::constants;

const SOURCE: &str = "crates/dmacopy-uapi/src/abi/netlink.rs";
const SPEC: &str = "kmod/ABI/netlink-dmacopy.yaml";

/// Where the bits of the capabilities are, and what their names begin with.
const CAPABILITIES: (&str, &str) = ("crates/dmacopy-uapi/src/abi/ioctl.rs", "CAP_");

/// The modules whose constants are numbers with names.
const NUMBERED: [&str; 3] = ["attribute", "command", "state"];

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let Some(source) = tree.get(SOURCE) else {
        return Vec::new();
    };
    let Some(spec) = tree.get(SPEC) else {
        return vec![Fault::new(SPEC, 1, "this specification is missing")];
    };
    let mut specified = numbered(&spec.text);
    let mut faults = Vec::new();
    let mut look_for = |file: &str, name: &str, value: Option<&str>, line| {
        let name = name.to_lowercase().replace('_', "-");
        let pair = (name, value.unwrap_or_default().to_owned());
        if specified.remove(&pair).is_none() {
            let (name, value) = pair;
            let what = format!("{SPEC} has no `name: {name}` with `value: {value}`");
            faults.push(Fault::new(file, line, what));
        }
    };
    for constant in constants(&source.text) {
        if NUMBERED.contains(&constant.module.as_str()) {
            let value = constant.words().next();
            look_for(SOURCE, &constant.name, value, constant.line);
        }
    }
    let (file, prefix) = CAPABILITIES;
    let text = tree.get(file).map_or("", |source| source.text.as_str());
    for constant in constants(text) {
        if let Some(name) = constant.name.strip_prefix(prefix) {
            // The bit's number: it is what one is shifted by.
            look_for(file, name, constant.words().last(), constant.line);
        }
    }
    for ((name, value), line) in specified {
        let what = format!("the ABI has no `{name}` with the number {value}");
        faults.push(Fault::new(SPEC, line, what));
    }
    faults
}

/// The names that a specification gives numbers to, with them, and the lines where they stand.
fn numbered(text: &str) -> BTreeMap<(String, String), usize> {
    let key = |line: Option<&str>, key| Some(line?.trim().strip_prefix(key)?.trim().to_owned());
    let mut found = BTreeMap::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let value = key(lines.peek().map(|(_, next)| *next), "value:");
        if let (Some(name), Some(value)) = (key(Some(line), "name:"), value) {
            found.insert((name, value), index + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const ABI: &str = "pub const VERSION: u8 = 1;\n\
        pub mod command { pub const GET_ALL: u8 = 1; }\n\
        pub mod attribute { pub const NUMBER: u16 = 2; }\n";

    fn found(spec: &str) -> Vec<String> {
        places(&check(&Tree::from([(SOURCE, ABI), (SPEC, spec)])))
    }

    #[test]
    fn a_specification_that_fits_passes() {
        let spec = "name: family\n- name: get-all\n  name: get-all\n  value: 1\n\
                    name: number\n  value: 2\n  type: u32\n";
        assert_eq!(found(spec), [""; 0]);
    }

    #[test]
    fn another_number_and_a_name_too_many_or_missing_are_found() {
        let spec = "name: get-all\nvalue: 2\nname: other\nvalue: 3\nname: number\ntype: u32\n";
        let expected = [
            "crates/dmacopy-uapi/src/abi/netlink.rs:2",
            "crates/dmacopy-uapi/src/abi/netlink.rs:3",
            "kmod/ABI/netlink-dmacopy.yaml:1",
            "kmod/ABI/netlink-dmacopy.yaml:3",
        ];
        assert_eq!(found(spec), expected);
    }

    #[test]
    fn a_capability_has_the_number_of_its_bit() {
        let (file, _) = CAPABILITIES;
        let bits = "pub const CAP_DMA_BUF: u64 = 1 << 9;\npub const OTHER: u64 = 1 << 3;\n";
        let found = |spec: &str| {
            let tree = Tree::from([(SOURCE, ""), (file, bits), (SPEC, spec)]);
            places(&check(&tree))
        };
        assert_eq!(found("name: dma-buf\nvalue: 9\n"), [""; 0]);
        let expected = [
            "crates/dmacopy-uapi/src/abi/ioctl.rs:1",
            "kmod/ABI/netlink-dmacopy.yaml:1",
        ];
        assert_eq!(found("name: dma-buf\nvalue: 8\n"), expected);
    }

    #[test]
    fn a_missing_specification_is_found() {
        let faults = check(&Tree::from([(SOURCE, ABI)]));
        assert_eq!(places(&faults), ["kmod/ABI/netlink-dmacopy.yaml:1"]);
    }
}
