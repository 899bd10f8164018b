// SPDX-License-Identifier: MIT OR Apache-2.0

//! A page for each room, for who wants to learn a mechanism: made from the room's documentation, its
//! tests, its part of the tour, its kernel half and the names that both sides share. Nothing on a
//! page is said for the second time: to change it is to change its source.

mod documentation;
mod kernel_half;
mod page;
mod tested;
mod tour;

use crate::Tree;
use crate::rust_source::constants;

/// Where the pages are.
pub const FOLDER: &str = "crates/kernel-channels/rooms/";

/// Where the rooms are listed, in the order in which they are shown.
const LIST: &str = "crates/kernel-channels/src/lib.rs";

/// A file, and what has to be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its path from the top of the repository.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// Something that a room lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lack {
    /// Where it should be.
    pub(crate) path: String,
    pub(crate) what: String,
}

impl Lack {
    fn new(path: &str, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

/// The pages of all rooms and their index, and what the rooms lack.
pub(crate) fn generate(tree: &Tree) -> (Vec<Page>, Vec<Lack>) {
    let rooms = rooms(tree);
    let (mut pages, mut lacks) = (Vec::new(), Vec::new());
    let mut titles = Vec::new();
    for room in &rooms {
        match page::of(tree, room, &rooms) {
            Ok((title, page)) => {
                titles.push((room.as_str(), title));
                pages.push(page);
            }
            Err(more) => lacks.extend(more),
        }
    }
    if !rooms.is_empty() {
        pages.push(index(&titles));
    }
    (pages, lacks)
}

/// The pages as they have to be; what a room lacks is an error.
///
/// # Errors
///
/// One line for each part that a room lacks.
pub fn pages(tree: &Tree) -> Result<Vec<Page>, String> {
    let (pages, lacks) = generate(tree);
    if lacks.is_empty() {
        return Ok(pages);
    }
    let lines: Vec<_> = lacks
        .iter()
        .map(|Lack { path, what }| format!("{path}: {what}"))
        .collect();
    Err(lines.join("\n"))
}

/// The names of all rooms.
pub(crate) fn rooms(tree: &Tree) -> Vec<String> {
    let list = tree.get(LIST).map(|file| constants(&file.text));
    let mut constants = list.into_iter().flatten();
    let list = constants.find(|one| one.name == "ROOMS" && one.module.is_empty());
    list.map(|list| list.texts().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// The page that leads to the others.
fn index(titles: &[(&str, String)]) -> Page {
    let mut text = page::head("The rooms");
    text += "Each mechanism by which a program and the Linux kernel talk is a room: a module of \
             `kernel_channels` that knows nothing of this kit's driver, with a page that shows when \
             to choose it, how to use it, and how it is tested here.\n\n\
             | room | what it is |\n|---|---|\n";
    for (room, title) in titles {
        text += &format!("| [`{room}`]({room}.md) | {title} |\n");
    }
    Page {
        path: format!("{FOLDER}README.md"),
        text,
    }
}
