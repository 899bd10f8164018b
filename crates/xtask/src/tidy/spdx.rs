// SPDX-License-Identifier: MIT OR Apache-2.0

//! Every source begins with the licence that fits its place.

use super::Fault;
use crate::{File, Tree};

const MARK: &str = "SPDX-License-Identifier:";

/// Of the driver.
const KERNEL: &str = "GPL-2.0";
/// Of the ABI, which is part of the driver and of whatever program uses it.
const BORDER: &str = "(GPL-2.0 WITH Linux-syscall-note) OR MIT";
/// Of all else.
const REST: &str = "MIT OR Apache-2.0";

/// Endings of the files that must say it. A file without an ending must if it is a script.
const EXTENSIONS: [&str; 20] = [
    "rs", "toml", "c", "h", "S", "sh", "py", "dts", "dtsi", "dtso", "yml", "yaml", "lock", "bb",
    "bbclass", "conf", "txt", "html", "css", "js",
];

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    tree.files().filter_map(fault).collect()
}

fn fault(file: &File) -> Option<Fault> {
    if !must_say(file) {
        return None;
    }
    let line = 1 + usize::from(file.text.starts_with("#!/"));
    let first = file.text.lines().nth(line - 1).unwrap_or_default();
    let Some(found) = licence(first) else {
        let what = format!("expected `{MARK} ...` here");
        return Some(Fault::new(&file.path, line, what));
    };
    let expected = fitting(&file.path)?;
    (found != expected).then(|| {
        let what = format!("the licence is `{found}`, but here it must be `{expected}`");
        Fault::new(&file.path, line, what)
    })
}

fn must_say(file: &File) -> bool {
    // The texts of the licences themselves, and what cargo writes.
    if file.path.starts_with(".licenses/") || file.name() == "Cargo.lock" {
        return false;
    }
    EXTENSIONS.contains(&file.extension())
        || matches!(file.name(), "Kbuild" | "Makefile")
        || (file.extension().is_empty() && file.text.starts_with("#!/"))
}

/// The licence that a line names in a comment.
fn licence(line: &str) -> Option<&str> {
    let (before, found) = line.split_once(MARK)?;
    let is_comment = matches!(before.trim(), "//" | "#" | "/*" | "<!--");
    let found = found.trim().trim_end_matches("*/").trim_end_matches("-->");
    is_comment.then(|| found.trim_end())
}

/// The licence that fits a place, or nothing if any does.
fn fitting(path: &str) -> Option<&'static str> {
    let is_lock = path.starts_with("kmod/kernel") && path.ends_with(".lock");
    if is_lock || path.starts_with("kmod/ABI/") {
        None
    } else if path.starts_with("kmod/") {
        Some(KERNEL)
    } else if path.starts_with("crates/dmacopy-uapi/src/")
        || path.starts_with("crates/dmacopy-uapi/include/")
    {
        Some(BORDER)
    } else {
        Some(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    fn line(licence: &str) -> String {
        format!("{MARK} {licence}")
    }

    #[test]
    fn a_missing_or_late_line_is_found() {
        let late = format!("//! A file.\n// {}\n", line(REST));
        let in_string = format!("const A: &str = \"{}\";\n", line(REST));
        let faults = check(&Tree::from([
            ("crates/a/src/lib.rs", ""),
            ("crates/a/src/late.rs", late.as_str()),
            ("crates/a/src/string.rs", in_string.as_str()),
            (".ci/run", "#!/bin/sh\nexec true\n"),
            ("crates/a/src/page.html", "<!DOCTYPE html>\n"),
            ("kmod/Kbuild", "obj-m := a.o\n"),
        ]));
        let expected = [
            ".ci/run:2",
            "crates/a/src/late.rs:1",
            "crates/a/src/lib.rs:1",
            "crates/a/src/page.html:1",
            "crates/a/src/string.rs:1",
            "kmod/Kbuild:1",
        ];
        assert_eq!(places(&faults), expected);
    }

    #[test]
    fn a_licence_in_the_wrong_place_is_found() {
        let rest = format!("// {}\n", line(REST));
        let kernel = format!("// {}\n", line(KERNEL));
        let faults = check(&Tree::from([
            ("kmod/driver.rs", rest.as_str()),
            ("crates/dmacopy-uapi/src/abi/mod.rs", kernel.as_str()),
            ("crates/a/src/lib.rs", kernel.as_str()),
        ]));
        assert_eq!(faults.len(), 3);
    }

    #[test]
    fn fitting_licences_pass() {
        let rest = format!("// {}\n", line(REST));
        let script = format!("#!/bin/sh\n# {}\n", line(REST));
        let page = format!("<!-- {} -->\n", line(REST));
        let style = format!("/* {} */\n", line(REST));
        let kernel = format!("/* {} */\n", line(KERNEL));
        let border = format!("// {}\n", line(BORDER));
        let lock = format!("# {}\n", line(REST));
        let faults = check(&Tree::from([
            ("crates/a/src/lib.rs", rest.as_str()),
            (".ci/run", script.as_str()),
            ("crates/a/src/page.html", page.as_str()),
            ("crates/a/src/style.css", style.as_str()),
            ("kmod/trace.h", kernel.as_str()),
            ("kmod/kernel.lock", lock.as_str()),
            ("kmod/kernel-7.2.lock", lock.as_str()),
            ("kmod/ABI/sysfs", "What: a\n"),
            ("crates/dmacopy-uapi/src/lib.rs", border.as_str()),
            ("Cargo.lock", "# written by cargo\n"),
            ("tests/a/Cargo.lock", "# written by cargo\n"),
            (".licenses/MIT.txt", "MIT\n"),
            ("README.md", "# a\n"),
        ]));
        assert_eq!(faults, []);
    }
}
