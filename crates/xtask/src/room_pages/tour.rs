// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tour does in a room and what it checks there, from the calls that take it down.

use crate::rust_source::Source;

/// The methods of `Evidence` that take a step down, and who tells whom by it.
const STEPS: [(&str, &str); 3] = [
    (".gave(", "to the kernel"),
    (".got(", "to user space"),
    (".asked(", "both ways"),
];

/// Those that take a check down, which argument says how it was verified, and what goes before that.
const CHECKS: [(&str, usize, &str); 5] = [
    (".equal(", 3, "by "),
    (".equal_bytes(", 3, "by "),
    (".note(", 3, "by "),
    (".refused(", 2, "refused with "),
    (".refused_call(", 3, "refused with "),
];

/// One thing that the tour does or checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What is done or checked.
    pub(super) what: String,
    /// Who tells whom; none for a check.
    pub(super) direction: Option<&'static str>,
    /// By which call on which file, or how it is verified.
    pub(super) by: String,
}

/// All that the tour's visit in a file does and checks, in the order of the source.
pub(super) fn entries(text: &str) -> Vec<Entry> {
    let source = Source::new(text);
    let code = &source.code[source.product()];
    let mut found = Vec::new();
    let steps = STEPS.map(|(call, direction)| (call, 1, "", Some(direction)));
    let checks = CHECKS.map(|(call, by, verb)| (call, by, verb, None));
    for (call, by, verb, direction) in steps.into_iter().chain(checks) {
        for (place, _) in code.match_indices(call) {
            let start = place + call.len();
            let arguments = arguments(code, &source.uncommented, start);
            let text = |index: usize| {
                let argument = arguments.get(index).copied().unwrap_or_default();
                shown(argument, code, &source.uncommented, place)
            };
            let (what, by) = (text(0), format!("{verb}{}", text(by)));
            let entry = Entry {
                what,
                direction,
                by,
            };
            found.push((place, entry));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// The arguments of a call, which begin at `start`.
fn arguments<'a>(code: &str, text: &'a str, start: usize) -> Vec<&'a str> {
    let mut arguments = Vec::new();
    let (mut depth, mut begin) = (0, start);
    for (index, character) in code[start..].char_indices() {
        let place = start + index;
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => {
                arguments.push(text[begin..place].trim());
                break;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(text[begin..place].trim());
                begin = place + 1;
            }
            _ => {}
        }
    }
    arguments
}

/// An argument of a call at a place, as a page shows it: a text if it is one or a variable that the
/// function has made one before, else the expression.
fn shown(argument: &str, code: &str, text: &str, place: usize) -> String {
    let expression = argument.trim_start_matches('&');
    let made = || {
        let function = code[..place].rfind("\nfn ").unwrap_or(0);
        let binding = format!("let {expression} = ");
        let start = function + code[function..place].rfind(&binding)? + binding.len();
        let length = code[start..].find(';')?;
        literal(&text[start..start + length])
    };
    let found = literal(argument).or_else(made);
    found.unwrap_or_else(|| format!("`{expression}`"))
}

/// The text of a literal, of which what is put in as the program runs is left open. An error number
/// is one, too.
fn literal(argument: &str) -> Option<String> {
    if let Some(errno) = argument.strip_prefix("Errno::") {
        return Some(errno.to_owned());
    }
    let argument = argument.trim_start_matches('&');
    let inner = ["format_args!(", "format!("]
        .iter()
        .find_map(|call| argument.strip_prefix(call));
    let text = inner.unwrap_or(argument).trim_start().strip_prefix('"')?;
    let text = text.split_once('"')?.0;
    let mut open = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (_, after) = after.split_once('}')?;
        open += before;
        open.push('\u{2026}');
        rest = after;
    }
    Some(open + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_checks_are_read_in_their_order() {
        let text = r#"
            evidence.gave(
                "set the timeout, in ms", // .gave("no", "no", "no")
                format_args!("write(2) to {}", path.display()),
                (1, 2),
            );
            evidence.equal("timeout_ms", [1, 2].len(), 2, "sysfs")?;
            evidence.equal(&format!("growth of {name}"), 1, grown, "procfs")?;
            evidence.equal(name, 1, grown, "procfs")?;
            evidence.refused("a timeout of zero", attributes.set(0), Errno::EINVAL)?;
            let found = evidence.got("an event", "recvmsg(2)", x);
            let by = format!("read(2) of {path}");
            evidence.refused_call("a read", &by, gone, Errno::ESRCH)?;
            evidence.asked("a read", &by, "done");
fn other() { evidence.asked("a write", by, "done"); }
            #[cfg(test)]
            mod tests { fn a() { evidence.got("a test", "b", c); } }
        "#;
        let entry = |what: &str, direction, by: &str| Entry {
            what: what.into(),
            direction,
            by: by.into(),
        };
        let expected = [
            entry(
                "set the timeout, in ms",
                Some("to the kernel"),
                "write(2) to \u{2026}",
            ),
            entry("timeout_ms", None, "by sysfs"),
            entry("growth of \u{2026}", None, "by procfs"),
            entry("`name`", None, "by procfs"),
            entry("a timeout of zero", None, "refused with EINVAL"),
            entry("an event", Some("to user space"), "recvmsg(2)"),
            entry("a read", None, "refused with ESRCH"),
            entry("a read", Some("both ways"), "read(2) of \u{2026}"),
            entry("a write", Some("both ways"), "`by`"),
        ];
        assert_eq!(entries(text), expected);
    }
}
