// SPDX-License-Identifier: MIT OR Apache-2.0

//! A Rust source, taken apart into code, literals and comments.
//!
//! Each view has the length of the text and its line breaks, with blanks for what it leaves out,
//! so that an offset means the same place in all of them.

mod constants;

use std::ops::Range;

pub(crate) use constants::{Constant, Token, constants};

/// The three views of a source.
#[derive(Debug)]
pub(crate) struct Source {
    /// Without comments and without literal text and characters.
    pub(crate) code: String,
    /// Without comments.
    pub(crate) uncommented: String,
    /// Without code: comments and literals.
    pub(crate) prose: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Literal,
    Comment,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let mut kinds = vec![Kind::Code; text.len()];
        let mut at = 0;
        while at < text.len() {
            let (kind, length) = piece(text, at);
            kinds[at..at + length].fill(kind);
            at += length;
        }
        let view = |shown: &[Kind]| -> String {
            text.char_indices()
                .flat_map(|(index, character)| {
                    let hidden = character != '\n' && !shown.contains(&kinds[index]);
                    let (character, count) = if hidden {
                        (' ', character.len_utf8())
                    } else {
                        (character, 1)
                    };
                    std::iter::repeat_n(character, count)
                })
                .collect()
        };
        Self {
            code: view(&[Kind::Code]),
            uncommented: view(&[Kind::Code, Kind::Literal]),
            prose: view(&[Kind::Literal, Kind::Comment]),
        }
    }

    /// What is compiled into the product: all before the module of the unit tests.
    pub(crate) fn product(&self) -> Range<usize> {
        const TESTS: &str = "#[cfg(test)]";
        let end = self.code.match_indices(TESTS).find(|(offset, _)| {
            let next = self.code[offset + TESTS.len()..].trim_start();
            next.starts_with("mod ")
        });
        0..end.map_or(self.code.len(), |(offset, _)| offset)
    }
}

/// The number of the line that an offset lies in.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}

/// Where `word` stands on its own: neither beside a letter, digit or `_` nor one of `more`.
pub(crate) fn words<'a>(
    text: &'a str,
    word: &'a str,
    more: &'a str,
) -> impl Iterator<Item = usize> + 'a {
    let joins = move |c: char| c.is_alphanumeric() || c == '_' || more.contains(c);
    text.match_indices(word)
        .map(|(offset, _)| offset)
        .filter(move |offset| {
            !text[..*offset].ends_with(joins) && !text[offset + word.len()..].starts_with(joins)
        })
}

/// The kind and the length of what begins at an offset.
fn piece(text: &str, at: usize) -> (Kind, usize) {
    let rest = &text[at..];
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        (Kind::Comment, block_comment(rest))
    } else if rest.starts_with('"') {
        (Kind::Literal, quoted(rest, '"'))
    } else if rest.starts_with('\'') && is_character(rest) {
        (Kind::Literal, quoted(rest, '\''))
    } else if rest.starts_with('r') && begins_raw(&text[..at]) {
        raw_string(rest).map_or((Kind::Code, first), |length| (Kind::Literal, length))
    } else {
        (Kind::Code, first)
    }
}

/// The length of a comment that may contain others.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a literal up to its closing quote, past what a backslash escapes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        if !escaped && character == quote {
            return index + 1;
        }
        escaped = !escaped && character == '\\';
    }
    rest.len()
}

/// Whether a quote begins a character, and not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut following = rest.chars().skip(1);
    match following.next() {
        Some('\\') => true,
        Some(_) => following.next() == Some('\''),
        None => false,
    }
}

/// Whether an `r` after this text may begin a raw string: it ends no longer word.
fn begins_raw(before: &str) -> bool {
    let before = before.strip_suffix(['b', 'c']).unwrap_or(before);
    !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// The length of a raw string, if it is one and not a raw identifier or just an `r`.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(1 + hashes + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_words(text: &str, word: &str) -> usize {
        words(&Source::new(text).code, word, "").count()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        for text in [
            "// word",
            "/* a /* word */ word */",
            "let a = \"word\";",
            "let a = \"\\\" word\";",
            "let a = r#\"\" word\"#;",
            "let a = br\"word\";",
            "let a = c\"word\";",
            "let a = '\"'; let b = \"word\";",
            "let a = '\\''; // word",
        ] {
            assert_eq!(code_words(text, "word"), 0, "{text}");
        }
    }

    #[test]
    fn what_follows_a_comment_or_a_literal_is_code() {
        for text in [
            "// no\nword",
            "/* /* */ */ word",
            "\"\\\\\" word",
            "r#\"\"no\"# word",
            "fn a<'a>(b: &'a str) { word }",
            "'\"' word \"\"",
            "r#type word",
            "for word in",
            "'\\u{e9}' 'é' word",
        ] {
            assert_eq!(code_words(text, "word"), 1, "{text}");
        }
    }

    #[test]
    fn a_word_stands_on_its_own() {
        assert_eq!(code_words("word_code swords word1 éword", "word"), 0);
        assert_eq!(words("word-list", "word", "-").count(), 0);
        assert_eq!(words("word list", "word", "-").count(), 1);
    }

    #[test]
    fn views_keep_offsets_and_lines() {
        let text = "a // é\n\"é\" b\n";
        let source = Source::new(text);
        for view in [&source.code, &source.uncommented, &source.prose] {
            assert_eq!(view.len(), text.len());
        }
        assert_eq!(line_of(&source.code, source.code.find('b').unwrap()), 2);
    }

    #[test]
    fn the_product_ends_where_the_tests_begin() {
        let text = "#[cfg(test)]\nuse a;\nfn b() {}\n#[cfg(test)]\nmod tests {}\n";
        let product = Source::new(text).product();
        assert!(text[product].ends_with("fn b() {}\n"));
        assert_eq!(Source::new("// #[cfg(test)]\n").product(), 0..16);
    }
}
