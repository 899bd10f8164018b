// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a board prints on its serial console.

use std::collections::VecDeque;

/// How many lines are kept to explain a failure.
const KEPT: usize = 40;

/// The longest line that is kept whole, in bytes.
const LONGEST: usize = 4096;

/// Cuts the console's bytes into lines and remembers the last of them.
#[derive(Debug, Default)]
pub struct Console {
    line: Vec<u8>,
    last: VecDeque<String>,
}

impl Console {
    /// Takes the next bytes and returns the lines that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte != b'\n' && self.line.len() < LONGEST {
                self.line.push(byte);
                continue;
            }
            lines.extend(self.finish());
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
        lines
    }

    /// Ends the line that has begun, if any, and returns it.
    pub fn finish(&mut self) -> Option<String> {
        if self.line.is_empty() {
            return None;
        }
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line))
            .trim_end_matches('\r')
            .to_owned();
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        Some(line)
    }

    /// The last lines, oldest first.
    pub fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_arrive() {
        let mut console = Console::default();
        assert_eq!(console.push(b"one\r\ntw"), ["one"]);
        assert_eq!(console.push(b"o\n"), ["two"]);
        assert_eq!(console.push(b"half"), Vec::<String>::new());
        assert_eq!(console.finish().as_deref(), Some("half"));
        assert_eq!(console.last(), ["one", "two", "half"]);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut console = Console::default();
        for number in 0..KEPT + 3 {
            console.push(format!("{number}\n").as_bytes());
        }
        assert_eq!(console.last().len(), KEPT);
        assert_eq!(console.last()[0], "3");
    }

    #[test]
    fn a_line_without_end_is_cut_and_nothing_is_lost() {
        let mut console = Console::default();
        let mut lines = console.push(&vec![b'x'; 3 * LONGEST]);
        lines.extend(console.push(b"\n"));
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), 3 * LONGEST);
    }
}
