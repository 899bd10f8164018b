// SPDX-License-Identifier: MIT OR Apache-2.0

//! The constants of a Rust source, with the modules of that file that they lie in.

use super::{Source, line_of};

/// A piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// A string literal, as it is written.
    Text(String),
    /// Anything else, character by character.
    Mark(char),
}

/// One `const` item.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    /// The modules around it, joined by `::`; empty at the top of the file.
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) line: usize,
    /// What stands between `=` and `;`.
    pub(crate) value: Vec<Token>,
}

impl Constant {
    /// Its value, if that is one string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value[..] {
            [Token::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// All strings in its value.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.value.iter().filter_map(|token| match token {
            Token::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// All names and numbers in its value.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.value.iter().filter_map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            _ => None,
        })
    }
}

/// All `const` items of a source, in their order; `const fn` is none.
pub(crate) fn constants(text: &str) -> Vec<Constant> {
    use Token::{Mark, Word};

    let tokens = tokens(&Source::new(text).uncommented);
    let mut found = Vec::new();
    let mut braces: Vec<Option<String>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (token, next) = (&tokens[at].0, tokens.get(at + 1).map(|(token, _)| token));
        let after = tokens.get(at + 2).map(|(token, _)| token);
        match (token, next, after) {
            (Word(keyword), Some(Word(name)), Some(Mark('{'))) if keyword == "mod" => {
                braces.push(Some(name.clone()));
                at += 2;
            }
            (Word(keyword), Some(Word(name)), Some(Mark(':'))) if keyword == "const" => {
                let modules: Vec<_> = braces.iter().flatten().map(String::as_str).collect();
                let line = tokens[at].1;
                let begin = position(&tokens, at, '=') + 1;
                let end = position(&tokens, begin, ';');
                let value = tokens.get(begin..end).unwrap_or_default();
                found.push(Constant {
                    module: modules.join("::"),
                    name: name.clone(),
                    line,
                    value: value.iter().map(|(token, _)| token.clone()).collect(),
                });
                at = end;
            }
            (Mark('{'), ..) => braces.push(None),
            (Mark('}'), ..) => {
                braces.pop();
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Where a mark stands next outside of parentheses, brackets and braces, or the end.
fn position(tokens: &[(Token, usize)], from: usize, mark: char) -> usize {
    let mut depth = 0_i32;
    for (index, (token, _)) in tokens.iter().enumerate().skip(from) {
        match token {
            Token::Mark(here) if depth == 0 && *here == mark => return index,
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The tokens of a text without comments, each with its line. Of literals, only plain strings
/// matter here: raw ones come out as `r` and a string.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let (token, length) = if first == '"' {
            let length = super::quoted(rest, '"');
            let inner = rest[1..length].trim_end_matches('"');
            (Some(Token::Text(inner.to_owned())), length)
        } else if first == '\'' && super::is_character(rest) {
            (None, super::quoted(rest, '\''))
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Some(Token::Word(rest[..length].to_owned())), length)
        } else if first.is_whitespace() {
            (None, first.len_utf8())
        } else {
            (Some(Token::Mark(first)), first.len_utf8())
        };
        if let Some(token) = token {
            found.push((token, line_of(text, at)));
        }
        at += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = r#"
        /// const COMMENT: &str = "no";
        pub const TOP: &str = "top";
        pub mod outer {
            pub const A: &'static str =
                "a"; // const B: &str = "no";
            pub mod inner { pub const C: &str = "c}"; }
            pub const ALL: [&str; 2] = [A, inner::C];
        }
        const fn not_one() -> u32 { const LOCAL: u32 = 1; LOCAL }
        const PAIRS: [(&str, u8); 1] = [("x", call::<T>(1 | 2))];
    "#;

    #[test]
    fn constants_are_found_with_their_modules() {
        let found = constants(NAMES);
        let names: Vec<_> = found
            .iter()
            .map(|constant| format!("{} {}", constant.module, constant.name))
            .collect();
        let expected = [
            " TOP",
            "outer A",
            "outer::inner C",
            "outer ALL",
            " LOCAL",
            " PAIRS",
        ];
        assert_eq!(names, expected);
        assert_eq!(found[0].line, 3);
    }

    #[test]
    fn values_are_texts_and_words() {
        let found = constants(NAMES);
        assert_eq!(found[1].text(), Some("a"));
        assert_eq!(found[2].text(), Some("c}"));
        assert_eq!(found[3].words().collect::<Vec<_>>(), ["A", "inner", "C"]);
        assert_eq!(found[5].texts().collect::<Vec<_>>(), ["x"]);
        let words: Vec<_> = found[5].words().collect();
        assert_eq!(words, ["call", "T", "1", "2"]);
    }
}
