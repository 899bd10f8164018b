// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a board says, made fit for a document.

use std::borrow::Cow;

/// The text without colours and the like of a terminal. What else does not print is shown as a
/// symbol of its own, because it is evidence: noise on a line, a log that was overwritten by NULs.
/// The result is valid in XML and cannot reorder the text around it.
pub(crate) fn plain_text(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        rest = match character {
            '\u{1b}' => match escape_sequence(after) {
                Some(length) => &after[length..],
                None => {
                    plain.push('␛');
                    after
                }
            },
            // Serial consoles end lines with one or more of them.
            '\r' if ends_line(after) => after,
            _ => {
                plain.push(symbol(character));
                after
            }
        };
    }
    Cow::Owned(plain)
}

fn is_plain(character: char) -> bool {
    symbol(character) == character
}

/// What stands for a character.
fn symbol(character: char) -> char {
    match character {
        '\t' | '\n' => character,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '␡',
        // The second set of controls, marks that turn the direction of text, and what XML has not.
        '\u{80}'..='\u{9f}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{fffe}'
        | '\u{ffff}' => '\u{fffd}',
        _ => character,
    }
}

fn ends_line(text: &str) -> bool {
    let rest = text.trim_start_matches('\r');
    rest.is_empty() || rest.starts_with('\n')
}

/// The length of the rest of an escape sequence, if this is a whole one. One that is cut must not
/// take the text behind it with it.
fn escape_sequence(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'[' => {
            let is_parameter = |byte: &u8| matches!(byte, b' '..=b'?');
            let parameters = bytes[1..].iter().take_while(|byte| is_parameter(byte));
            let end = 1 + parameters.count();
            matches!(bytes.get(end)?, b'@'..=b'~').then_some(end + 1)
        }
        b']' => {
            let line = text.lines().next()?;
            let bell = line.find('\u{7}').map(|at| at + 1);
            let terminator = line.find("\u{1b}\\").map(|at| at + 2);
            match (bell, terminator) {
                (Some(bell), Some(terminator)) => Some(bell.min(terminator)),
                (bell, terminator) => bell.or(terminator),
            }
        }
        b'(' | b')' => matches!(bytes.get(1)?, b'0'..=b'9' | b'A'..=b'Z').then_some(2),
        b'7' | b'8' | b'=' | b'>' | b'M' | b'c' => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_text_stays() {
        for (text, plain) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]0;title\u{1b}\\text\u{7}", "text␇"),
            ("\u{1b}(B\u{1b}[?25lx\u{1b}8", "x"),
            ("one\r\r\ntwo\r", "one\ntwo"),
        ] {
            assert_eq!(plain_text(text), plain, "{text:?}");
        }
    }

    #[test]
    fn what_does_not_print_is_shown() {
        for (text, plain) in [
            ("a\0b\u{8}\u{1f}\u{7f}", "a␀b␈␟␡"),
            ("10 %\r20 %", "10 %␍20 %"),
            (
                "\u{9b}31m\u{ffff}\u{fffe}\u{202e}",
                "\u{fffd}31m\u{fffd}\u{fffd}\u{fffd}",
            ),
        ] {
            assert_eq!(plain_text(text), plain, "{text:?}");
        }
    }

    #[test]
    fn a_cut_sequence_takes_nothing_with_it() {
        for text in [
            "\u{1b}",
            "\u{1b}[",
            "\u{1b}[12",
            "\u{1b}]0;t",
            "\u{1b}(",
            "\u{1b}ä",
        ] {
            let whole = format!("{text}\nnext");
            assert_eq!(plain_text(&whole), whole.replace('\u{1b}', "␛"));
            assert_eq!(plain_text(text), text.replace('\u{1b}', "␛"));
        }
        assert_eq!(plain_text("\u{1b}]0;t\nnext\u{7}"), "␛]0;t\nnext␇");
    }
}
