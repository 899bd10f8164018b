// SPDX-License-Identifier: MIT OR Apache-2.0

//! What stands in the parentheses of `#[hil::test(…)]`.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{LitStr, Path, Token};

use crate::limit;

/// Every option, as an error lists them.
const ALL: &str = "`requires(\"capability\", …)`, `timeout = \"30 s\"`, `setup = function`, \
    `teardown = function`, `provokes(\"text\", …)`, `should_panic`, `should_panic = \"text\"`, `ignore` and \
    `ignore = \"reason\"`";

/// The options of a test.
#[derive(Default)]
pub(crate) struct Options {
    /// The capabilities that the board must have.
    pub(crate) requires: Vec<LitStr>,
    /// The bound of time, milliseconds.
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) setup: Option<Path>,
    pub(crate) teardown: Option<Path>,
    /// Parts of the complaints of the kernel that are what the test is for.
    pub(crate) provokes: Vec<LitStr>,
    /// Whether it passes by panicking, and what the message must contain; with any, the text is
    /// empty.
    pub(crate) should_panic: Option<LitStr>,
    /// Why it is only run on demand; without a reason, the text is empty.
    pub(crate) ignore: Option<LitStr>,
}

impl Options {
    pub(crate) fn read(tokens: TokenStream) -> syn::Result<Self> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        let parser = syn::meta::parser(|meta| {
            let name = meta.path.get_ident().map(ToString::to_string);
            let name = name.unwrap_or_default();
            if seen.contains(&name) {
                return Err(meta.error(format!("`{name}` is said twice")));
            }
            options.take(&name, &meta)?;
            seen.push(name);
            Ok(())
        });
        parser.parse2(tokens)?;
        Ok(options)
    }

    fn take(&mut self, name: &str, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        match name {
            "requires" => {
                let example = "name the capabilities: `requires(\"capability\", …)`";
                self.requires = texts(meta, example)?;
            }
            "provokes" => {
                let example = "say what the kernel will say: `provokes(\"text\", …)`";
                self.provokes = texts(meta, example)?;
            }
            "timeout" => {
                self.timeout_ms = Some(limit::milliseconds(&meta.value()?.parse()?)?);
            }
            "setup" => self.setup = Some(meta.value()?.parse()?),
            "teardown" => self.teardown = Some(meta.value()?.parse()?),
            "should_panic" => self.should_panic = Some(text(meta)?),
            "ignore" => self.ignore = Some(text(meta)?),
            _ => return Err(meta.error(format!("no such option; there are {ALL}"))),
        }
        Ok(())
    }
}

/// The texts in the parentheses of an option. None of them may be empty.
fn texts(meta: &ParseNestedMeta<'_>, example: &str) -> syn::Result<Vec<LitStr>> {
    if !meta.input.peek(syn::token::Paren) {
        return Err(meta.error(example));
    }
    let content;
    syn::parenthesized!(content in meta.input);
    let texts = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
    if texts.is_empty() || texts.iter().any(|text| text.value().is_empty()) {
        return Err(meta.error(example));
    }
    Ok(texts.into_iter().collect())
}

/// The text behind an option that needs none.
fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    if meta.input.is_empty() || meta.input.peek(Token![,]) {
        return Ok(LitStr::new("", proc_macro2::Span::call_site()));
    }
    let text: LitStr = meta.value()?.parse()?;
    if text.value().is_empty() {
        return Err(syn::Error::new(text.span(), "leave `= \"\"` out"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Options {
        Options::read(text.parse().unwrap()).unwrap()
    }

    /// The message of an error and the column that it points to.
    fn refused(text: &str) -> (String, usize) {
        let error = Options::read(text.parse().unwrap()).err().unwrap();
        (error.to_string(), error.span().start().column)
    }

    #[test]
    fn no_option_is_needed() {
        let options = read("");
        assert!(options.requires.is_empty() && options.timeout_ms.is_none());
        assert!(options.setup.is_none() && options.teardown.is_none());
        assert!(options.should_panic.is_none() && options.ignore.is_none());
    }

    #[test]
    fn every_option_is_read() {
        let options = read(
            "requires(\"a\", \"b-c\"), timeout = \"2 s\", setup = on, teardown = power::off, \
            should_panic = \"text\", ignore = \"reason\", provokes(\"Oops\"),",
        );
        assert_eq!(options.provokes[0].value(), "Oops");
        let requires: Vec<_> = options.requires.iter().map(LitStr::value).collect();
        assert_eq!(requires, ["a", "b-c"]);
        assert_eq!(options.timeout_ms, Some(2000));
        assert!(options.setup.unwrap().is_ident("on"));
        assert_eq!(options.teardown.unwrap().segments.len(), 2);
        assert_eq!(options.should_panic.unwrap().value(), "text");
        assert_eq!(options.ignore.unwrap().value(), "reason");
    }

    #[test]
    fn a_panic_needs_no_text_and_an_ignored_test_no_reason() {
        let options = read("should_panic, ignore");
        assert_eq!(options.should_panic.unwrap().value(), "");
        assert_eq!(options.ignore.unwrap().value(), "");
    }

    #[test]
    fn an_unknown_option_is_refused_where_it_stands() {
        let (message, column) = refused("timeout = \"1 s\", require(\"a\")");
        assert!(message.starts_with("no such option; there are `requires("));
        assert_eq!(column, 17);
    }

    #[test]
    fn an_option_that_is_said_twice_is_refused() {
        let expected = ("`ignore` is said twice".to_owned(), 8);
        assert_eq!(refused("ignore, ignore = \"a\""), expected);
    }

    #[test]
    fn an_option_with_nothing_in_it_is_refused() {
        let expected = "name the capabilities: `requires(\"capability\", …)`".to_owned();
        assert_eq!(refused("requires()"), (expected.clone(), 0));
        assert_eq!(refused("requires"), (expected.clone(), 0));
        assert_eq!(refused("requires = \"a\""), (expected, 0));
        // Any complaint contains nothing.
        let (message, _) = refused("provokes(\"\")");
        assert!(message.starts_with("say what the kernel will say"));
        assert_eq!(refused("ignore = \"\""), ("leave `= \"\"` out".into(), 9));
    }

    #[test]
    fn a_bad_bound_of_time_is_refused_where_it_stands() {
        let (message, column) = refused("timeout = \"soon\"");
        assert!(message.starts_with("`soon` is no bound of time"));
        assert_eq!(column, 10);
    }
}
