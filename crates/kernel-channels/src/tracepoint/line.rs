// SPDX-License-Identifier: MIT OR Apache-2.0

//! What tracefs writes for people, read by a program.

use std::collections::HashMap;
use std::time::Duration;

/// How wide the name of a task is, with the spaces before it. A dash and the task's number follow.
const NAME_BYTES: usize = 16;

/// A record as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What ran at that moment: the task's name and number, as `name-number`.
    pub task: String,
    /// On which processor.
    pub cpu: u32,
    /// When, by `CLOCK_MONOTONIC`, to the microsecond.
    pub time: Duration,
    /// The name of the tracepoint.
    pub event: String,
    /// What the tracepoint prints.
    pub text: String,
    /// Its fields, as far as the tracepoint prints them as `name=value`.
    pub fields: HashMap<String, String>,
}

impl Line {
    /// A field's text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    /// A field that is a decimal number.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.text(field)?.parse().ok()
    }

    /// Reads `kworker/u8:2-41 [001] .....  12.345678: name: key=value key=value`.
    fn parse(line: &str) -> Option<Self> {
        // The task's name may hold anything, but it is too short to hold what comes behind it, so
        // the first that looks like that is the kernel's.
        let mut places = line.match_indices(" [");
        let (task, (cpu, time, rest)) = places.find_map(|(at, bracket)| {
            let found = place_and_time(&line[at + bracket.len()..])?;
            Some((&line[..at], found))
        })?;
        let (event, text) = rest
            .split_once(": ")
            .or(rest.strip_suffix(':').zip(Some("")))?;
        let pairs = text.split_whitespace().filter_map(|w| w.split_once('='));
        Some(Self {
            task: task.trim_matches(' ').to_owned(),
            cpu,
            time,
            event: event.trim().to_owned(),
            text: text.trim().to_owned(),
            fields: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        })
    }
}

/// Reads `001] .....  12.345678: ` and what comes behind it.
fn place_and_time(text: &str) -> Option<(u32, Duration, &str)> {
    let (cpu, rest) = text.split_once("] ")?;
    let (_flags, rest) = rest.split_once(' ')?;
    let (time, rest) = rest.trim_start_matches(' ').split_once(": ")?;
    let (seconds, microseconds) = time.split_once('.')?;
    if cpu.len() < 3 || microseconds.len() != 6 {
        return None;
    }
    let micros = Duration::from_micros(number(microseconds)?);
    let time = Duration::from_secs(number(seconds)?).checked_add(micros)?;
    Some((u32::try_from(number(cpu)?).ok()?, time, rest))
}

/// A number that is nothing but digits.
fn number(text: &str) -> Option<u64> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

/// What stands in `trace_pipe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A record.
    Record(Line),
    /// That there were others, which nobody has read in time.
    Lost { cpu: u32, count: Option<u64> },
    /// Something else.
    Other(String),
}

/// Reads entries that are whole.
pub(super) fn entries(mut bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        // The task's name may even hold the end of a line.
        let is_after_name = bytes.get(NAME_BYTES) == Some(&b'-');
        let name = if is_after_name { NAME_BYTES } else { 0 };
        let end = bytes[name..].iter().position(|byte| *byte == b'\n');
        let end = end.map_or(bytes.len(), |end| name + end);
        let line = String::from_utf8_lossy(&bytes[..end]);
        entries.push(entry(&line));
        bytes = bytes.get(end + 1..).unwrap_or_default();
    }
    entries
}

fn entry(line: &str) -> Entry {
    let record = || Line::parse(line).map(Entry::Record);
    let other = || Entry::Other(line.to_owned());
    lost(line).or_else(record).unwrap_or_else(other)
}

/// Reads `CPU:3 [LOST 276 EVENTS]`; the number is missing when the kernel does not know it.
fn lost(line: &str) -> Option<Entry> {
    let (cpu, rest) = line.strip_prefix("CPU:")?.split_once(" [LOST ")?;
    let cpu = u32::try_from(number(cpu)?).ok()?;
    let count = match rest.strip_suffix("EVENTS]")?.trim_end() {
        "" => None,
        count => Some(number(count)?),
    };
    Some(Entry::Lost { cpu, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a task with this name, as the kernel writes it.
    fn record(name: &[u8]) -> Vec<u8> {
        let padding = vec![b' '; NAME_BYTES - name.len()];
        let rest = b"-41      [001] .....    12.000678: copier_start: length=1\n";
        [&padding, name, rest].concat()
    }

    fn only(bytes: &[u8]) -> Line {
        let entries = entries(bytes);
        let [Entry::Record(line)] = &entries[..] else {
            panic!("{entries:?}");
        };
        line.clone()
    }

    #[test]
    fn a_line_is_read_whole() {
        let text = "   kworker/u8:2 [x]-41      [001] .....   12.000678: copier_start: \
                    device=0 length=4096 name=a=b";
        let line = Line::parse(text).unwrap();
        assert_eq!(line.task, "kworker/u8:2 [x]-41");
        assert_eq!(line.cpu, 1);
        assert_eq!(line.time, Duration::from_micros(12_000_678));
        assert_eq!(line.event, "copier_start");
        assert_eq!(line.text, "device=0 length=4096 name=a=b");
        assert_eq!(line.number("length"), Some(4096));
        assert_eq!(line.text("name"), Some("a=b"));
        assert_eq!(line.number("name"), None);
    }

    #[test]
    fn a_name_of_a_task_neither_breaks_a_record_nor_forges_one() {
        for name in [
            "a: b",
            "a [b] c",
            "e [0] 1.5: x: ",
            "[000] 1.000000:",
            " [000] ..... 1.",
            "x-1 [000] .....",
            " [",
            " [001] ",
            "a\nb",
            "\n\n\n",
            "x\n-1 [000] 1.0: ",
            "",
        ] {
            let name = &name[..name.len().min(15)];
            let line = only(&record(name.as_bytes()));
            assert_eq!(line.cpu, 1, "{name:?}");
            assert_eq!(line.time, Duration::from_micros(12_000_678), "{name:?}");
            assert_eq!(line.event, "copier_start", "{name:?}");
            assert_eq!(line.number("length"), Some(1), "{name:?}");
            assert!(line.task.ends_with("-41"), "{name:?}: {}", line.task);
            assert!(line.task.contains(name.trim_matches(' ')), "{name:?}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_shown_as_far_as_it_is() {
        let line = only(&record(b"a\xff\xff\nb"));
        assert_eq!(line.task, "a\u{fffd}\u{fffd}\nb-41");
    }

    #[test]
    fn entries_come_one_by_one() {
        let lost = b"CPU:3 [LOST 276 EVENTS]\nCPU:12 [LOST EVENTS]\n";
        let bytes = [&record(b"one"), &lost[..], b"x\n", &record(b"t\no")].concat();
        let entries = entries(&bytes);
        let [Entry::Record(one), first, second, other, Entry::Record(two)] = &entries[..] else {
            panic!("{entries:?}");
        };
        let lost = |cpu, count| Entry::Lost { cpu, count };
        assert_eq!((&*one.task, &*two.task), ("one-41", "t\no-41"));
        assert_eq!(first, &lost(3, Some(276)));
        assert_eq!(second, &lost(12, None));
        assert_eq!(other, &Entry::Other("x".to_owned()));
    }

    #[test]
    fn a_record_without_a_text_or_without_flags_is_one() {
        let line = only(b"            task-1       [000] .....     1.500000: a:\n");
        assert_eq!((&*line.event, &*line.text), ("a", ""));
        let line = only(b"            task-1       [000]      1.500000: a: b\n");
        assert_eq!((&*line.event, &*line.text), ("a", "b"));
    }

    #[test]
    fn what_is_no_record_is_not_taken_for_one() {
        for text in [
            "task-1 [000] ..... 1.500000",
            "task-1 [x] ..... 1.500000: a: b",
            "task-1 [000] ..... 1.5: a: b",
            "task-1 [000] ..... 1.+00001: a: b",
            "task-1 [000] ..... 1.500000: a",
            "CPU:x [LOST 12 EVENTS]",
            "CPU:1 [LOST many EVENTS]",
        ] {
            let expected = [Entry::Other(text.to_owned())];
            assert_eq!(entries(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(entries(b""), []);
    }
}
