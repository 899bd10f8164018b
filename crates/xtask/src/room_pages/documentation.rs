// SPDX-License-Identifier: MIT OR Apache-2.0

//! A room's own documentation, from the `//!` lines of its source.

use super::Lack;

/// The sections that each room has, in their order.
const REQUIRED: [&str; 5] = [
    "When to choose it",
    "Contract",
    "Minimum kernel",
    "References",
    "Example",
];

/// A room's documentation, in Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Documentation {
    /// Its first line.
    pub(super) title: String,
    /// What follows, up to the first heading.
    pub(super) what: String,
    /// Headings and what is below them.
    sections: Vec<(String, String)>,
}

impl Documentation {
    /// Reads the documentation of the room in a file.
    pub(super) fn read(path: &str, text: &str, rooms: &[String]) -> Result<Self, Vec<Lack>> {
        let lines = text.lines().skip_while(|line| !line.starts_with("//!"));
        let lines = lines.map_while(|line| line.strip_prefix("//!"));
        let mut lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
        let title = lines.next().unwrap_or_default().to_owned();
        let mut sections = vec![(String::new(), String::new())];
        let mut is_code = false;
        for line in lines {
            is_code ^= line.starts_with("```");
            match line.strip_prefix("# ").filter(|_| !is_code) {
                Some(heading) => sections.push((heading.to_owned(), String::new())),
                None => {
                    if let (Some((_, body)), false) =
                        (sections.last_mut(), is_hidden(line, is_code))
                    {
                        body.push_str(&linked(line, rooms, is_code));
                        body.push('\n');
                    }
                }
            }
        }
        for (_, body) in &mut sections {
            *body = body.trim().to_owned();
        }
        let what = sections.remove(0).1;
        let found = Self {
            title,
            what,
            sections,
        };
        let lacks = found.lacks(path);
        if lacks.is_empty() {
            Ok(found)
        } else {
            Err(lacks)
        }
    }

    fn lacks(&self, path: &str) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if self.title.is_empty() || self.what.is_empty() {
            let what = "the documentation does not say in a line and a paragraph what the room is";
            lacks.push(Lack::new(path, what));
        }
        for heading in REQUIRED {
            if self.section(heading).is_none_or(str::is_empty) {
                lacks.push(Lack::new(
                    path,
                    format!("there is no section `# {heading}`"),
                ));
            }
        }
        if let Some(what) = self.section("Example").and_then(bad_example) {
            lacks.push(Lack::new(path, what));
        }
        lacks
    }

    pub(super) fn section(&self, heading: &str) -> Option<&str> {
        let found = self.sections.iter().find(|(one, _)| one == heading);
        found.map(|(_, body)| body.as_str())
    }
}

/// Whether rustdoc does not show a line of an example.
fn is_hidden(line: &str, is_code: bool) -> bool {
    is_code && (line == "#" || line.starts_with("# "))
}

/// What is wrong with an example that nobody compiles or that shows nothing.
fn bad_example(body: &str) -> Option<&'static str> {
    let mut fences = body.lines().filter_map(|line| line.strip_prefix("```"));
    let Some(kind) = fences.next() else {
        return Some("the example has no code");
    };
    if !matches!(kind, "" | "rust" | "no_run" | "should_panic") {
        return Some("the example is not compiled as a documentation test");
    }
    if !body.contains("kernel_channels::") {
        return Some("the example uses nothing of kernel_channels");
    }
    None
}

/// A line without links that only rustdoc follows: to another room it becomes one to its page.
fn linked(line: &str, rooms: &[String], is_code: bool) -> String {
    if is_code {
        // All examples are in Rust.
        return match line {
            "```" | "```no_run" | "```should_panic" => "```rust".to_owned(),
            _ => line.to_owned(),
        };
    }
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("[`") {
        text.push_str(before);
        let Some((name, after)) = after.split_once("`]") else {
            return text + "[`" + after;
        };
        let (target, after) = match after.strip_prefix('(').and_then(|a| a.split_once(')')) {
            Some((target, after)) => (target, after),
            None => (name, after),
        };
        let room = target.strip_prefix("crate::").unwrap_or(target);
        if target.starts_with("http") {
            text += &format!("[`{name}`]({target})");
        } else if rooms.iter().any(|one| one == room) {
            text += &format!("[`{room}`]({room}.md)");
        } else {
            text += &format!("`{}`", name.trim_start_matches("crate::"));
        }
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "// SPDX\n\n//! Files: one value each.\n//!\n//! What a file is.\n//!\n\
        //! # When to choose it\n//!\n//! For one value. Else [`crate::uevent`] or [`Device::set`].\n\
        //!\n//! # Contract\n//!\n//! None.\n//!\n//! # Minimum kernel\n//!\n//! Any.\n//!\n\
        //! # References\n//!\n//! `sysfs(5)`\n//!\n//! # Example\n//!\n//! ```no_run\n\
        //! use kernel_channels::sysfs;\n//! # let hidden = 1;\n//! let a = sysfs::devices(\"x\")?;\n\
        //! # Ok::<(), kernel_channels::Error>(())\n//! ```\n\nuse std::fs;\n";

    fn read(text: &str) -> Result<Documentation, Vec<Lack>> {
        Documentation::read("sysfs.rs", text, &["sysfs".to_owned(), "uevent".to_owned()])
    }

    #[test]
    fn a_room_is_read_as_rustdoc_shows_it() {
        let room = read(ROOM).unwrap();
        assert_eq!(room.title, "Files: one value each.");
        assert_eq!(room.what, "What a file is.");
        let when = "For one value. Else [`uevent`](uevent.md) or `Device::set`.";
        assert_eq!(room.section("When to choose it"), Some(when));
        let example = "```rust\nuse kernel_channels::sysfs;\nlet a = sysfs::devices(\"x\")?;\n```";
        assert_eq!(room.section("Example"), Some(example));
        assert_eq!(room.section("Safety"), None);
    }

    #[test]
    fn each_part_that_is_missing_is_told() {
        for part in REQUIRED {
            let lacks = read(&ROOM.replace(part, "Else")).unwrap_err();
            let expected = format!("there is no section `# {part}`");
            assert_eq!(lacks, [Lack::new("sysfs.rs", expected)]);
        }
        let lacks = |from: &str, to: &str| read(&ROOM.replace(from, to)).unwrap_err().len();
        assert_eq!(lacks("//! What a file is.\n", ""), 1);
        assert_eq!(lacks("//! None.\n", ""), 1);
        assert_eq!(lacks("```no_run", "```ignore"), 1);
        assert_eq!(lacks("```no_run", "```text"), 1);
        assert_eq!(lacks("use kernel_channels::sysfs;", "let b = 1;"), 1);
        assert_eq!(lacks("//! ", "// "), 6);
    }

    #[test]
    fn links_of_rustdoc_become_links_of_pages_or_none() {
        let rooms = ["mmap".to_owned()];
        let linked = |line| linked(line, &rooms, false);
        assert_eq!(linked("[`a`](crate::mmap) b"), "[`mmap`](mmap.md) b");
        assert_eq!(linked("[`map`](crate::mmap::map)"), "`map`");
        assert_eq!(linked("[`crate::readiness`]."), "`readiness`.");
        assert_eq!(linked("[`x`](https://x)"), "[`x`](https://x)");
        assert_eq!(linked("a [`b"), "a [`b");
    }
}
