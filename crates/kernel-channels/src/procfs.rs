// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files in procfs: a driver's summary, written for people.
//!
//! A file below `/proc` may hold anything. What most of them hold are blocks of lines
//! `key: value`, as `/proc/meminfo` (one block) or `/proc/cpuinfo` (one per processor), and that
//! is what this room reads.
//!
//! # When to choose it
//!
//! To look at, with `cat`. A program should rather read [`crate::sysfs`], where each value has a
//! file and a format of its own; new drivers put nothing into procfs that is not there as well.
//!
//! # Contract
//!
//! None beyond what the driver documents. So nothing is interpreted here: keys keep their order,
//! a key may come twice, and a line without a colon is the title of the block that it begins.
//!
//! # Minimum kernel
//!
//! Any; procfs has to be mounted at `/proc`.
//!
//! # References
//!
//! `proc(5)`, `Documentation/filesystems/proc.rst`
//!
//! # Example
//!
//! ```
//! let memory = kernel_channels::procfs::read("meminfo")?;
//! assert!(memory.blocks[0].text("MemTotal").is_some());
//! # Ok::<(), kernel_channels::Error>(())
//! ```

use std::path::Path;

use crate::{Error, text_file};

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

/// Lines that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The line above, if it is no entry itself, without a colon at its end.
    pub title: Option<String>,
    /// Keys and values, in order.
    pub entries: Vec<(String, String)>,
}

impl Block {
    /// The value of the first entry with this key.
    pub fn text(&self, key: &str) -> Option<&str> {
        let (_, value) = self.entries.iter().find(|(name, _)| name == key)?;
        Some(value)
    }

    /// The same as a number, if it is one.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }
}

impl Summary {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut begun = false;
        for line in text.lines().map(str::trim) {
            if line.is_empty() {
                begun = false;
                continue;
            }
            let entry = line.split_once(':').filter(|(_, value)| !value.is_empty());
            if !begun || entry.is_none() {
                blocks.push(Block::default());
                begun = true;
            }
            let Some(block) = blocks.last_mut() else {
                continue;
            };
            match entry {
                Some((key, value)) => {
                    let entry = (key.trim_end().to_owned(), value.trim_start().to_owned());
                    block.entries.push(entry);
                }
                None => block.title = Some(line.trim_end_matches(':').to_owned()),
            }
        }
        Self { blocks }
    }
}

/// Reads a file by its path below `/proc`.
///
/// # Errors
///
/// [`Error::Path`] when it cannot be read.
pub fn read(path: impl AsRef<Path>) -> Result<Summary, Error> {
    let text = text_file::read(&Path::new("/proc").join(path))?;
    Ok(Summary::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_and_a_block_per_device_are_told_apart() {
        let summary = Summary::parse(
            "dmacopy, ABI 1\n\ndmacopy0:\n  engine: software\n  bytes: 4096\ndmacopy1:\n  bytes: 0\n",
        );
        let [header, first, second] = &summary.blocks[..] else {
            panic!("not three blocks: {summary:?}");
        };
        assert_eq!(header.title.as_deref(), Some("dmacopy, ABI 1"));
        assert_eq!(first.title.as_deref(), Some("dmacopy0"));
        assert_eq!(first.text("engine"), Some("software"));
        assert_eq!(first.number("bytes"), Some(4096));
        assert_eq!(second.number("bytes"), Some(0));
    }

    #[test]
    fn blocks_without_titles_are_separated_by_empty_lines() {
        let summary = Summary::parse("processor\t: 0\nBogoMIPS\t: 125.00\n\nprocessor\t: 1\n");
        assert_eq!(summary.blocks.len(), 2);
        assert_eq!(summary.blocks[0].text("BogoMIPS"), Some("125.00"));
        assert_eq!(summary.blocks[1].number("processor"), Some(1));
        assert_eq!(summary.blocks[1].title, None);
    }

    #[test]
    fn values_keep_their_colons_and_keys_their_order() {
        let summary = Summary::parse("b: 1\na: x: y\nb: 2\n");
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [entry("b", "1"), entry("a", "x: y"), entry("b", "2")];
        assert_eq!(summary.blocks[0].entries, expected);
        assert_eq!(summary.blocks[0].text("b"), Some("1"));
    }

    #[test]
    fn what_is_no_number_is_none() {
        let summary = Summary::parse("MemTotal: 16 kB\n");
        assert_eq!(summary.blocks[0].number("MemTotal"), None);
        assert_eq!(summary.blocks[0].number("absent"), None);
    }

    #[test]
    fn an_empty_file_has_no_blocks() {
        assert_eq!(Summary::parse(""), Summary::default());
        assert_eq!(Summary::parse("\n \n"), Summary::default());
    }
}
