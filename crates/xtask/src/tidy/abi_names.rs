// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the sources of the ABI promise to user space, told from their constants.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use super::Fault;
use crate::Tree;
use crate::rust_source::{Constant, Token, constants};

const NAMES: &str = "crates/dmacopy-uapi/src/abi/names.rs";
const REQUESTS: &str = "crates/dmacopy-uapi/src/abi/ioctl.rs";
const MESSAGES: &str = "crates/dmacopy-uapi/src/abi/netlink.rs";

/// The modules of attributes that have a directory of their own, and the constant that names it.
const GROUPS: [&str; 2] = ["limits", "upcall"];
const GROUP: &str = "GROUP";

/// The subjects of the ABI's pages.
#[derive(Debug, Default)]
pub(super) struct Promise {
    /// What must have an entry, and where the ABI says so.
    pub(super) required: BTreeMap<String, (&'static str, usize)>,
    /// What may have one.
    pub(super) permitted: BTreeSet<String>,
    /// Where the ABI disagrees with itself.
    pub(super) faults: Vec<Fault>,
}

impl Promise {
    pub(super) fn read(tree: &Tree) -> Result<Self, Fault> {
        let read = |path| {
            let file = tree.get(path);
            file.map(|file| constants(&file.text))
                .ok_or_else(|| Fault::new(path, 1, "this source of the ABI is missing"))
        };
        let (names, codes, messages) = (read(NAMES)?, read(REQUESTS)?, read(MESSAGES)?);
        let driver = text(&names, "DRIVER")?;
        let class = text(&names, "CLASS")?;

        let mut promise = Self {
            faults: unlisted(&names),
            ..Self::default()
        };
        for constant in &names {
            let Some(text) = constant.text() else {
                continue;
            };
            let subject = match constant.module.as_str() {
                "attribute" => format!("/sys/class/{class}/{driver}N/{text}"),
                group if GROUPS.contains(&group) && constant.name != GROUP => {
                    format!("/sys/class/{class}/{driver}N/{group}/{text}")
                }
                "debugfs" => format!("/sys/kernel/debug/{driver}/{driver}N/{text}"),
                "tracepoint" => format!("/sys/kernel/tracing/events/{driver}/{text}"),
                "uevent" | "environment" => text.to_owned(),
                "" if constant.name.starts_with("PROC_") => format!("/proc/{text}"),
                "" if constant.name.starts_with("PARAMETER_") => {
                    let parameter = format!("/sys/module/{driver}/parameters/{text}");
                    promise.permitted.insert(parameter);
                    continue;
                }
                _ => continue,
            };
            promise.required.insert(subject, (NAMES, constant.line));
        }
        for code in &codes {
            if let Some(encoding) = encoding(code, &codes) {
                let subject = format!("/dev/{driver}N ioctl {}, {encoding}", code.name);
                promise.required.insert(subject, (REQUESTS, code.line));
            }
        }
        let family = messages.iter().find(|one| one.name == "FAMILY");
        let family = family
            .and_then(Constant::text)
            .ok_or_else(|| Fault::new(MESSAGES, 1, "there is no constant FAMILY"))?;
        for constant in &messages {
            if let Some(subject) = message_subject(family, constant) {
                promise.required.insert(subject, (MESSAGES, constant.line));
            }
        }
        Ok(promise)
    }
}

/// What an entry about a constant of the netlink family says.
fn message_subject(family: &str, constant: &Constant) -> Option<String> {
    let name = constant.name.to_lowercase().replace('_', "-");
    let value = constant.text().or_else(|| constant.words().next())?;
    let subject = match constant.module.as_str() {
        "" if constant.name == "VERSION" => format!("version {value}"),
        "group" => format!("group {value}"),
        "command" | "attribute" | "state" => format!("{} {name}, {value}", constant.module),
        _ => return None,
    };
    Some(format!("netlink {family} {subject}"))
}

/// The value of a constant at the top of `names.rs`.
fn text<'a>(names: &'a [Constant], name: &str) -> Result<&'a str, Fault> {
    let mut named = names.iter().filter(|constant| constant.name == name);
    named
        .find_map(Constant::text)
        .ok_or_else(|| Fault::new(NAMES, 1, format!("there is no constant {name}")))
}

/// The attributes that are missing in the list of all attributes.
fn unlisted(names: &[Constant]) -> Vec<Fault> {
    let groups = GROUPS.into_iter();
    let groups = groups.filter(|group| names.iter().any(|one| one.module == *group));
    let mut faults = Vec::new();
    for module in iter::once("attribute").chain(groups) {
        let attributes = || names.iter().filter(|one| one.module == module);
        let Some(all) = attributes().find(|one| one.name == "ALL") else {
            faults.push(Fault::new(NAMES, 1, format!("there is no {module}::ALL")));
            continue;
        };
        let listed: BTreeSet<_> = all.words().collect();
        let unlisted = attributes()
            .filter(|one| one.text().is_some() && one.name != GROUP)
            .filter(|one| !listed.contains(one.name.as_str()));
        faults.extend(unlisted.map(|one| {
            let what = format!("{module}::ALL does not list {}", one.name);
            Fault::new(NAMES, one.line, what)
        }));
    }
    faults
}

/// A request code as the C macro that makes it, if a constant is one: its value is
/// `request::<Type>(direction, number)`.
fn encoding(code: &Constant, codes: &[Constant]) -> Option<String> {
    let words: Vec<_> = code.words().collect();
    let (name, structure, directions, number) = match words[..] {
        [name, structure, ref directions @ .., number] => (name, structure, directions, number),
        _ => return None,
    };
    if name != "request" {
        return None;
    }
    let reads = if directions.contains(&"READ") {
        "R"
    } else {
        ""
    };
    let writes = if directions.contains(&"WRITE") {
        "W"
    } else {
        ""
    };
    let magic = codes.iter().find(|one| one.name == "MAGIC")?;
    let magic = magic.words().next()?;
    let size = codes.iter().find_map(|one| asserted_size(one, structure));
    let size = size.unwrap_or("?");
    Some(format!(
        "_IO{writes}{reads}({magic}, {number}, {size} bytes)"
    ))
}

/// What `assert!(size_of::<Type>() == size)` says of a type.
fn asserted_size<'a>(assertion: &'a Constant, structure: &str) -> Option<&'a str> {
    let words: Vec<_> = assertion.words().collect();
    let is_equation = assertion.value.contains(&Token::Mark('='));
    match words[..] {
        [.., "size_of", of, size] if of == structure && is_equation => Some(size),
        _ => None,
    }
}
