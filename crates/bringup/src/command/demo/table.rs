// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tour as a table for people.

use agent_wire::report::{Fact, Room, Status, Tour};
use anstyle::{AnsiColor, Style};

/// The widest a column gets, in characters; `--json` has everything whole.
const WIDEST: usize = 34;

/// What the table says of each fact.
const COLUMNS: usize = 5;

const HEADINGS: [&str; COLUMNS] = [
    "what",
    "direction",
    "sent or expected",
    "received",
    "verified by",
];

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Prints the table on standard output.
pub(super) fn print(board: &str, kernel: &str, tour: &Tour) {
    anstream::println!(
        "\n{BOLD}{board}{BOLD:#}, kernel {kernel}, engine {}\n",
        tour.engine
    );
    let widths = widths(tour);
    anstream::println!("{DIM}{:18} {}{DIM:#}", "room", line(HEADINGS, widths));
    for room in &tour.rooms {
        print_room(room, widths);
    }
    anstream::println!(
        "\n{} rooms passed, {} failed, {} ignored",
        tour.count(Status::Passed),
        tour.count(Status::Failed),
        tour.count(Status::Ignored)
    );
}

fn print_room(room: &Room, widths: [usize; COLUMNS]) {
    let (mark, colour) = match room.status {
        Status::Passed => ("passed", AnsiColor::Green),
        Status::Failed => ("FAILED", AnsiColor::Red),
        Status::Ignored => ("ignored", AnsiColor::Yellow),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    let mut label = format!("{BOLD}{:10}{BOLD:#} {style}{mark:7}{style:#}", room.name);
    for fact in &room.evidence {
        anstream::println!("{label} {}", line(cells(fact), widths));
        label = " ".repeat(18);
    }
    if let Some(error) = &room.error {
        anstream::println!("{label} {style}{error}{style:#}");
    }
}

fn cells(fact: &Fact) -> [&str; COLUMNS] {
    [
        &fact.what,
        fact.direction.as_str(),
        &fact.sent,
        &fact.received,
        &fact.verified,
    ]
}

fn widths(tour: &Tour) -> [usize; COLUMNS] {
    let mut widths = HEADINGS.map(str::len);
    for fact in tour.rooms.iter().flat_map(|room| &room.evidence) {
        for (width, cell) in widths.iter_mut().zip(cells(fact)) {
            *width = (*width).max(cell.chars().count()).min(WIDEST);
        }
    }
    widths
}

fn line(cells: [&str; COLUMNS], widths: [usize; COLUMNS]) -> String {
    let cell = |(text, width): (&str, usize)| format!("{:width$}", shortened(text, width));
    let cells: Vec<_> = cells.into_iter().zip(widths).map(cell).collect();
    cells.join("  ").trim_end().to_owned()
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('\u{2026}');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shortened_to_its_column_and_says_so() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "ab\u{2026}");
        assert_eq!(line(["a", "bb", "c", "", ""], [2; COLUMNS]), "a   bb  c");
    }
}
