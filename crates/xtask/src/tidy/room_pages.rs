// SPDX-License-Identifier: MIT OR Apache-2.0

//! Each room has all that belongs to it, and a page that says what its sources say now.

use super::Fault;
use crate::Tree;
use crate::room_pages::{self, FOLDER};

/// The page that leads to the others.
const INDEX: &str = "README.md";

/// Where the pages are linked from.
const FRONT: &str = "README.md";

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let (pages, lacks) = room_pages::generate(tree);
    let mut faults: Vec<_> = lacks
        .into_iter()
        .map(|lack| Fault::new(&lack.path, 1, lack.what))
        .collect();
    if pages.is_empty() {
        return faults;
    }
    let help = "`cargo xtask rooms` writes it anew";
    for page in &pages {
        let Some(file) = tree.get(&page.path) else {
            faults.push(Fault::new(&page.path, 1, format!("is missing; {help}")));
            continue;
        };
        if file.text != page.text {
            let same = file.text.lines().zip(page.text.lines());
            let line = 1 + same.take_while(|(one, other)| one == other).count();
            let what = format!("is not what the sources of the room say; {help}");
            faults.push(Fault::new(&page.path, line, what));
        }
    }
    let rooms = room_pages::rooms(tree);
    for file in tree.below(FOLDER) {
        let is_known = file.name() == INDEX || rooms.iter().any(|room| room == file.stem());
        if !is_known {
            faults.push(Fault::new(&file.path, 1, "is the page of no room"));
        }
    }
    let index = format!("{FOLDER}README.md");
    if !tree
        .get(FRONT)
        .is_some_and(|front| front.text.contains(&index))
    {
        faults.push(Fault::new(FRONT, 1, format!("does not lead to {index}")));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    const LIST: (&str, &str) = (
        "crates/kernel-channels/src/lib.rs",
        "pub const ROOMS: [&str; 1] = [\"procfs\"];\n",
    );
    const DOC: &str = "//! Files.\n//!\n//! What.\n//!\n//! # When to choose it\n//! Now.\n\
        //! # Contract\n//! None.\n//! # Minimum kernel\n//! Any.\n//! # References\n//! `a(5)`\n\
        //! # Example\n//! ```\n//! use kernel_channels::procfs;\n//! ```\n";
    const SOURCES: [(&str, &str); 6] = [
        ("crates/kernel-channels/src/procfs.rs", DOC),
        (
            "tests/on-target/tests/procfs.rs",
            "#[test]\nfn a_b() {}\n#[test]\nfn c() {}\n#[test]\nfn d() {}\n",
        ),
        (
            "crates/bringup-target/src/tour/procfs.rs",
            "fn v() { e.got(\"a\", \"b\", x); e.equal(\"c\", 1, 1, \"d\"); }",
        ),
        ("kmod/procfs.rs", "//! The summary.\n"),
        ("kmod/sys/procfs.rs", "//! The summary.\n"),
        ("kmod/ABI/procfs-dmacopy", "What: /proc/driver/dmacopy\n"),
    ];
    const README: (&str, &str) = ("README.md", "crates/kernel-channels/rooms/README.md");
    const PAGE: &str = "crates/kernel-channels/rooms/procfs.md";
    const FIRST: &str = "crates/kernel-channels/rooms/README.md";

    /// What is found when each of some files, and the pages that fit the sources, are as given.
    fn found(sources: [(&str, &str); 6], change: impl Fn(&str) -> (String, String)) -> Vec<String> {
        let [a, b, c, d, e, f] = SOURCES;
        let original = Tree::from([LIST, a, b, c, d, e, f]);
        let pages = room_pages::pages(&original).unwrap();
        let [a, b, c, d, e, f] = sources;
        let text = |path: &str| {
            pages
                .iter()
                .find(|page| page.path == path)
                .unwrap()
                .text
                .clone()
        };
        let (path, page) = change(&text(PAGE));
        let first = text(FIRST);
        let tree = Tree::from([
            LIST,
            a,
            b,
            c,
            d,
            e,
            f,
            README,
            (FIRST, &first),
            (&path, &page),
        ]);
        places(&check(&tree))
    }

    fn same(page: &str) -> (String, String) {
        (PAGE.to_owned(), page.to_owned())
    }

    #[test]
    fn pages_that_say_what_their_sources_say_pass() {
        assert_eq!(found(SOURCES, same), [""; 0]);
    }

    #[test]
    fn a_page_that_is_edited_older_missing_or_of_no_room_is_found() {
        let edited = |page: &str| (PAGE.to_owned(), page.replace("- c\n", "- e\n"));
        let places = found(SOURCES, edited);
        assert_eq!(places.len(), 1);
        assert!(places[0].starts_with(PAGE), "{places:?}");
        let mut changed = SOURCES;
        changed[1].1 = "#[test]\nfn a_b() {}\n#[test]\nfn c() {}\n#[test]\nfn e() {}\n";
        assert_eq!(found(changed, same).len(), 1);
        let other = "crates/kernel-channels/rooms/cellar.md";
        let moved = |page: &str| (other.to_owned(), page.to_owned());
        assert_eq!(
            found(SOURCES, moved),
            [format!("{other}:1"), format!("{PAGE}:1")]
        );
    }

    #[test]
    fn a_room_that_lacks_a_part_is_found_where_that_should_be() {
        let mut changed = SOURCES;
        let without = DOC.replace("# Contract", "# Else");
        changed[0].1 = &without;
        assert!(found(changed, same).contains(&format!("{}:1", SOURCES[0].0)));
    }

    #[test]
    fn the_front_page_leads_to_the_index() {
        let [a, b, c, d, e, f] = SOURCES;
        let original = Tree::from([LIST, a, b, c, d, e, f]);
        let pages = room_pages::pages(&original).unwrap();
        let page = |index: usize| (pages[index].path.as_str(), pages[index].text.as_str());
        let tree = Tree::from([LIST, a, b, c, d, e, f, page(0), page(1)]);
        assert_eq!(places(&check(&tree)), ["README.md:1"]);
    }
}
