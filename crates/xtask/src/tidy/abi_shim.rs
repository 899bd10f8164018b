// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the driver's C declares for user space is what the ABI names and its pages describe: the
//! tracepoints with their fields, and the functions for BPF programs.

use std::collections::BTreeSet;

use super::Fault;
use crate::rust_source::constants;
use crate::{File, Tree};

const NAMES: &str = "crates/dmacopy-uapi/src/abi/names.rs";
const EVENTS: &str = "kmod/shim/events.h";
const EVENTS_PAGE: &str = "kmod/ABI/tracepoint-dmacopy";
const FUNCTIONS: &str = "kmod/shim/kfuncs.c";
const FUNCTIONS_PAGE: &str = "kmod/ABI/bpf-dmacopy";

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let read = |path| {
        tree.get(path)
            .ok_or_else(|| Fault::new(path, 1, "this source of the ABI is missing"))
    };
    let files = [NAMES, EVENTS, EVENTS_PAGE, FUNCTIONS, FUNCTIONS_PAGE].map(read);
    let missing: Vec<_> = files.iter().filter_map(|file| file.clone().err()).collect();
    let [
        Ok(names),
        Ok(events),
        Ok(events_page),
        Ok(functions),
        Ok(functions_page),
    ] = files
    else {
        return missing;
    };
    let mut faults = Vec::new();
    let declared = declarations(events, &["TRACE_EVENT(", "DEFINE_EVENT("], |line| {
        // The name is the last argument on the line: an event's class comes first.
        line.trim_end_matches(',').rsplit([',', '(']).next()
    });
    faults.extend(compare(names, "tracepoint", events, &declared));
    let fields = declarations(events, &["__field("], |line| {
        let (_, name) = line.split_once(',')?;
        name.split(')').next()
    });
    faults.extend(compare(names, "field", events, &fields));
    let kfuncs = declarations(functions, &["__bpf_kfunc "], |line| {
        let (before, _) = line.split_once('(')?;
        before.split_whitespace().last()
    });
    faults.extend(compare(names, "kfunc", functions, &kfuncs));

    // A field is described by the type and the name that it is declared with.
    for (field, line) in declarations(events, &["__field("], |line| line.split(')').next()) {
        let words = field.replacen(',', "", 1);
        if !says(events_page, &words) {
            let what = format!("{EVENTS_PAGE} does not describe the field `{words}`");
            faults.push(Fault::new(EVENTS, line, what));
        }
    }
    for (field, line) in described(events_page) {
        let is_field = |(declared, _): &(&str, usize)| declared.replacen(',', "", 1) == field;
        let fields = declarations(events, &["__field("], |line| line.split(')').next());
        if !fields.iter().any(is_field) {
            let what = format!("{EVENTS} declares no field `{field}`");
            faults.push(Fault::new(EVENTS_PAGE, line, what));
        }
    }
    for (prototype, line) in declarations(functions_page, &["What:\t\tkfunc "], Some) {
        let prototypes = declarations(functions, &["__bpf_kfunc "], Some);
        if !prototypes
            .iter()
            .any(|(declared, _)| *declared == prototype)
        {
            let what = format!("{FUNCTIONS} does not define `{prototype}`");
            faults.push(Fault::new(FUNCTIONS_PAGE, line, what));
        }
    }
    for (prototype, line) in declarations(functions, &["__bpf_kfunc "], Some) {
        let entry = format!("What:\t\tkfunc {prototype}");
        if !functions_page.text.lines().any(|line| line == entry) {
            let what = format!("no entry in {FUNCTIONS_PAGE} says `{entry}`");
            faults.push(Fault::new(FUNCTIONS, line, what));
        }
    }
    faults
}

/// What stands behind one of some words at the beginning of a line, and on which line.
fn declarations<'a>(
    file: &'a File,
    words: &[&str],
    name: impl Fn(&'a str) -> Option<&'a str>,
) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim();
        let behind = words.iter().find_map(|word| line.strip_prefix(word));
        if let Some(name) = behind.and_then(&name) {
            found.push((name.trim(), index + 1));
        }
    }
    found
}

/// Compares what C declares with the constants of a module of the ABI.
fn compare(names: &File, module: &str, source: &File, declared: &[(&str, usize)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let all = constants(&names.text);
    let named = all.iter().filter(|one| one.module == module);
    let named: Vec<_> = named
        .filter_map(|one| Some((one.text()?, one.line)))
        .collect();
    for (name, line) in declared {
        if !named.iter().any(|(one, _)| one == name) {
            let what = format!("`{name}` is not a {module} of the ABI");
            faults.push(Fault::new(&source.path, *line, what));
        }
    }
    let declared: BTreeSet<_> = declared.iter().map(|(name, _)| name).collect();
    for (name, line) in named {
        if !declared.contains(&name) {
            let what = format!("{} does not declare `{name}`", source.path);
            faults.push(Fault::new(&names.path, line, what));
        }
    }
    faults
}

/// The fields that a page describes, as `type name`, and on which lines.
fn described(page: &File) -> Vec<(String, usize)> {
    const TYPES: [&str; 9] = ["u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "int"];
    let mut found = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        // The description stands behind a tab, which a sentence that begins alike has not.
        let Some((field, _)) = line.trim().split_once('\t') else {
            continue;
        };
        if let Some((of_type, name)) = field.trim().split_once(' ') {
            if TYPES.contains(&of_type) && !name.contains(' ') {
                found.push((field.trim().to_owned(), index + 1));
            }
        }
    }
    found
}

/// Whether a page has a line that begins with these words.
fn says(page: &File, words: &str) -> bool {
    page.text.lines().any(|line| {
        let rest = line.trim().strip_prefix(words);
        rest.is_some_and(|rest| rest.starts_with(char::is_whitespace))
    })
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const NAMES_TEXT: &str = r#"
pub mod tracepoint {
    pub const SYSTEM: &str = super::DRIVER;
    pub const BEGIN: &str = "copier_begin";
    pub const END: &str = "copier_end";
}
pub mod field { pub const LENGTH: &str = "length"; pub const WHY: &str = "why"; }
pub mod kfunc { pub const BYTES: &str = "copier_bytes"; }
"#;
    const EVENTS_TEXT: &str = "
DECLARE_EVENT_CLASS(copier,
\tTP_STRUCT__entry(
\t\t__field(u64, length)
\t),
DEFINE_EVENT(copier, copier_begin,
TRACE_EVENT(copier_end,
\t\t__field(u64, length)
\t\t__field(int, why)
";
    const EVENTS_PAGE_TEXT: &str = "\t\tu64 length\thow long\n\t\tint why\twhy\n";
    const FUNCTIONS_TEXT: &str = "__bpf_kfunc s64 copier_bytes(u32 device)\n{\n";
    const FUNCTIONS_PAGE_TEXT: &str = "What:\t\tkfunc s64 copier_bytes(u32 device)\n";

    /// What is found when some text is replaced in all of the files.
    fn found(from: &str, to: &str) -> Vec<String> {
        let [names, events, events_page, functions, functions_page] = [
            NAMES_TEXT,
            EVENTS_TEXT,
            EVENTS_PAGE_TEXT,
            FUNCTIONS_TEXT,
            FUNCTIONS_PAGE_TEXT,
        ]
        .map(|text| text.replace(from, to));
        places(&check(&Tree::from([
            (NAMES, names.as_str()),
            (EVENTS, events.as_str()),
            (EVENTS_PAGE, events_page.as_str()),
            (FUNCTIONS, functions.as_str()),
            (FUNCTIONS_PAGE, functions_page.as_str()),
        ])))
    }

    #[test]
    fn declarations_that_fit_pass() {
        assert!(found("", "").is_empty());
    }

    #[test]
    fn what_is_declared_and_not_named_or_named_and_not_declared_is_found() {
        let both = |path: &str, line: usize, named: usize| {
            let mut places = vec![format!("{path}:{line}"), format!("{NAMES}:{named}")];
            places.sort();
            places
        };
        let begin = found("copier, copier_begin", "copier, copier_start");
        assert_eq!(begin, both(EVENTS, 6, 4));
        let end = found("TRACE_EVENT(copier_end", "TRACE_EVENT(copier_done");
        assert_eq!(end, both(EVENTS, 7, 5));
        let bytes = found("= \"copier_bytes\"", "= \"copier_byte\"");
        assert_eq!(bytes, both(FUNCTIONS, 1, 8));
    }

    #[test]
    fn a_field_that_no_page_describes_as_it_is_is_found() {
        // What the page says instead is no field either.
        let both = [format!("{EVENTS_PAGE}:2"), format!("{EVENTS}:9")];
        assert_eq!(found("int why\t", "u64 why\t"), both);
        assert_eq!(found("int why\t", "int whyever\t"), both);
        assert_eq!(found("int why\t", "why, int why\t").len(), 1);
    }

    #[test]
    fn a_field_and_a_function_that_only_a_page_has_are_found() {
        let more = found("\t\tint why\t", "\t\ts32 when\twhen\n\t\tint why\t");
        assert_eq!(more, [format!("{EVENTS_PAGE}:2")]);
        let more = found("What:", "What:\t\tkfunc s64 other(u32 device)\nWhat:");
        assert_eq!(more, [format!("{FUNCTIONS_PAGE}:1")]);
        // A sentence that begins like a field.
        assert!(found("\t\tint why\t", "\t\tint when it is so\n\t\tint why\t").is_empty());
    }

    #[test]
    fn a_function_that_no_page_describes_as_it_is_is_found() {
        let places = found("\tkfunc s64", "\tkfunc u64");
        assert_eq!(
            places,
            [format!("{FUNCTIONS_PAGE}:1"), format!("{FUNCTIONS}:1")]
        );
    }

    #[test]
    fn an_abi_without_its_sources_is_found() {
        assert_eq!(check(&Tree::default()).len(), 5);
    }
}
