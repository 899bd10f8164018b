// SPDX-License-Identifier: MIT OR Apache-2.0

//! The page of one room.

use super::documentation::Documentation;
use super::kernel_half::KernelHalf;
use super::tested::sentences;
use super::tour::{Entry, entries};
use super::{FOLDER, Lack, Page};
use crate::{File, Tree};

/// From the folder of the pages to the top.
const TOP: &str = "../../../";

const CHANNELS: &str = "crates/kernel-channels/src/";
const TESTS: &str = "tests/on-target/tests/";
const TOUR: &str = "crates/bringup-target/src/tour/";

/// The fewest tests that show what a mechanism does and refuses.
const FEWEST_TESTS: usize = 3;

/// What a page begins with.
pub(super) fn head(title: &str) -> String {
    format!(
        "<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->\n\
         <!-- Written by `cargo xtask rooms`. -->\n\n# {title}\n\n"
    )
}

/// The title and the page of a room, or all that it lacks.
pub(super) fn of(tree: &Tree, room: &str, rooms: &[String]) -> Result<(String, Page), Vec<Lack>> {
    let mut lacks = Vec::new();
    let mut keep = |more: Vec<Lack>| lacks.extend(more);
    let source = source(tree, CHANNELS, room).map_err(&mut keep).ok();
    let documentation = source.and_then(|file| {
        let read = Documentation::read(&file.path, &file.text, rooms);
        read.map_err(&mut keep).ok()
    });
    let tested = tested(tree, room).map_err(&mut keep).ok();
    let toured = toured(tree, room).map_err(&mut keep).ok();
    let half = KernelHalf::of(tree, room).map_err(&mut keep).ok();
    match (source, documentation, tested, toured, half) {
        (Some(source), Some(documentation), Some(tested), Some(toured), Some(half)) => {
            let text = text(room, source, &documentation, &tested, &toured, &half);
            let path = format!("{FOLDER}{room}.md");
            Ok((documentation.title, Page { path, text }))
        }
        _ => Err(lacks),
    }
}

/// The file that a room is, or begins with, below a folder.
fn source<'a>(tree: &'a Tree, folder: &str, room: &str) -> Result<&'a File, Vec<Lack>> {
    let path = format!("{folder}{room}.rs");
    let found = tree
        .get(&path)
        .or_else(|| tree.get(&format!("{folder}{room}/mod.rs")));
    found.ok_or_else(|| vec![Lack::new(&path, format!("the room `{room}` has none"))])
}

fn tested(tree: &Tree, room: &str) -> Result<Vec<String>, Vec<Lack>> {
    let file = source(tree, TESTS, room)?;
    let tests = sentences(&file.text);
    if tests.len() < FEWEST_TESTS {
        let what = format!("has fewer than {FEWEST_TESTS} tests of the room `{room}`");
        return Err(vec![Lack::new(&file.path, what)]);
    }
    Ok(tests)
}

fn toured(tree: &Tree, room: &str) -> Result<Vec<Entry>, Vec<Lack>> {
    let file = source(tree, TOUR, room)?;
    let entries = entries(&file.text);
    let has = |is_step: bool| entries.iter().any(|one| one.direction.is_some() == is_step);
    if !has(true) || !has(false) {
        let what = "shows no step, or checks nothing, by a text that can be read here";
        return Err(vec![Lack::new(&file.path, what)]);
    }
    Ok(entries)
}

fn text(
    room: &str,
    source: &File,
    documentation: &Documentation,
    tested: &[String],
    toured: &[Entry],
    half: &KernelHalf,
) -> String {
    let mut text = head(room) + &format!("**{}**\n\n{}\n", documentation.title, documentation.what);
    let own = [
        "When to choose it",
        "Contract",
        "Safety",
        "Minimum kernel",
        "Example",
    ];
    for heading in own {
        if let Some(body) = documentation.section(heading) {
            text += &section(heading, body);
        }
    }
    let library = format!("To copy: {}.", link(&source.path));
    text += &format!("\n{library}\n");
    text += &section("How it is verified", &verified(room, tested, toured));
    text += &section("The kernel half", &kernel_half(half));
    text += &section("Names of the ABI", &names(half));
    text += &section("Commands", &commands(room));
    let references = documentation.section("References").unwrap_or_default();
    text + &section("References", references)
}

fn section(heading: &str, body: &str) -> String {
    format!("\n## {heading}\n\n{}\n", body.trim_end())
}

/// A link to a file of the repository.
fn link(path: &str) -> String {
    format!("[`{path}`]({TOP}{path})")
}

fn verified(room: &str, tested: &[String], toured: &[Entry]) -> String {
    let tour = format!("{TOUR}{room}.rs");
    let mut text = format!("The tour, {}, does this:\n\n", link(&tour));
    for Entry {
        what,
        direction,
        by,
    } in toured
    {
        text += &match direction {
            Some(direction) => format!("- {what}: {direction}, {by}\n"),
            None => format!("  - checked: {what}, {by}\n"),
        };
    }
    let tests = format!("{TESTS}{room}.rs");
    text += &format!("\nThe tests on the board, {}:\n\n", link(&tests));
    for sentence in tested {
        text += &format!("- {sentence}\n");
    }
    text
}

fn kernel_half(half: &KernelHalf) -> String {
    let line = |(path, what): &(String, String)| format!("- {}: {what}\n", link(path));
    half.files.iter().map(line).collect()
}

fn names(half: &KernelHalf) -> String {
    let mut text = String::new();
    let mut last = "";
    for (name, page) in &half.names {
        if page != last {
            if !last.is_empty() {
                text.push('\n');
            }
            text += &format!("In {}:\n\n", link(page));
            last = page;
        }
        text += &format!("- `{name}`\n");
    }
    text
}

fn commands(room: &str) -> String {
    let channel = format!("bringup-target channel {room}");
    let lines = [
        (
            channel.as_str(),
            "on the board: step by step, what crossed the border",
        ),
        (
            "bringup-target doctor",
            "on the board: what it needs, and what is missing",
        ),
        (
            "cargo bringup demo",
            "on the PC: all rooms, on an emulated board",
        ),
    ];
    let lines = lines.map(|(command, what)| format!("{command:<34} # {what}\n"));
    format!("```sh\n{}```\n", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = "//! Files.\n//!\n//! What.\n//!\n//! # When to choose it\n//! Now.\n\
        //! # Contract\n//! None.\n//! # Minimum kernel\n//! Any.\n//! # References\n//! `a(5)`\n\
        //! # Example\n//! ```\n//! use kernel_channels::procfs;\n//! ```\n";
    const TESTED: &str = "#[test]\nfn a_b() {}\n#[test]\nfn c() {}\n#[test]\nfn d() {}\n";
    const TOURED: &str = "fn v() { e.got(\"the summary\", \"read(2)\", x); \
        e.equal(\"lines\", 1, 1, \"sysfs\"); }";
    const HALF: &str = "//! The summary.\n";
    const FILES: [(&str, &str); 6] = [
        ("crates/kernel-channels/src/procfs.rs", DOC),
        ("tests/on-target/tests/procfs.rs", TESTED),
        ("crates/bringup-target/src/tour/procfs.rs", TOURED),
        ("kmod/procfs.rs", HALF),
        ("kmod/sys/procfs.rs", HALF),
        ("kmod/ABI/procfs-dmacopy", "What: /proc/driver/dmacopy\n"),
    ];

    #[test]
    fn a_page_has_all_parts() {
        let (title, page) = of(&Tree::from(FILES), "procfs", &[]).unwrap();
        assert_eq!(title, "Files.");
        assert_eq!(page.path, "crates/kernel-channels/rooms/procfs.md");
        let expected = [
            "\n# procfs\n\n**Files.**\n\nWhat.\n",
            "\n## When to choose it\n\nNow.\n",
            "\n- the summary: to user space, read(2)\n  - checked: lines, by sysfs\n",
            "\n- a b\n- c\n- d\n",
            "[`kmod/procfs.rs`](../../../kmod/procfs.rs): The summary.\n",
            "\n- `/proc/driver/dmacopy`\n",
            "\nbringup-target channel procfs ",
            "\n## References\n\n`a(5)`\n",
        ];
        for part in expected {
            assert!(page.text.contains(part), "no {part:?} in {}", page.text);
        }
    }

    #[test]
    fn a_room_without_tests_or_a_tour_or_any_other_part_has_no_page() {
        for index in 0..FILES.len() {
            let mut files = FILES;
            files[index].1 = "";
            let lacks = of(&Tree::from(files), "procfs", &[]).unwrap_err();
            assert!(!lacks.is_empty(), "{index}");
            files[index].0 = "README.md";
            let lacks = of(&Tree::from(files), "procfs", &[]).unwrap_err();
            assert_eq!(lacks.len(), 1, "{index}: {lacks:?}");
        }
    }
}
