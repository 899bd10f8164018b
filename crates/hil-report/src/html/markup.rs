// SPDX-License-Identifier: MIT OR Apache-2.0

//! HTML that is being written.

use crate::plain_text::plain_text;

/// HTML that is being written. Markup can only be a constant of this crate; whatever a board, a
/// test or a user said goes in as text.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Adds markup.
    pub(super) fn tag(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, also within the quotes of an attribute.
    pub(super) fn text(&mut self, text: impl AsRef<str>) -> &mut Self {
        for character in plain_text(text.as_ref()).chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(character),
            }
        }
        self
    }

    /// Adds a name of code, which may be broken where its words end.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        for word in name.split_inclusive(['_', ':']) {
            self.text(word).tag("<wbr>");
        }
        self
    }

    /// Adds a number.
    pub(super) fn number(&mut self, number: usize) -> &mut Self {
        self.text(number.to_string())
    }

    /// Adds a share of a whole as a percentage, of at most the whole.
    pub(super) fn percent(&mut self, share: f64) -> &mut Self {
        let share = if share.is_finite() { share } else { 0.0 };
        self.text(format!("{:.3}%", share.clamp(0.0, 1.0) * 100.0))
    }

    /// Fills a template: each `{{name}}` is replaced by what `part` gives for its name. What is
    /// filled in is not looked at again.
    pub(super) fn fill(template: &'static str, mut part: impl FnMut(&str) -> Self) -> Self {
        let mut filled = Self::default();
        let mut pieces = template.split("{{");
        filled.tag(pieces.next().unwrap_or_default());
        for piece in pieces {
            let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
            filled.0.push_str(&part(name).0);
            filled.tag(rest);
        }
        filled
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl From<&'static str> for Markup {
    fn from(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        let mut markup = Markup::default();
        markup
            .tag("<a title=\"")
            .text("\"'></a><script>&\u{1b}[1m\0");
        assert_eq!(
            markup.into_string(),
            "<a title=\"&quot;&#39;&gt;&lt;/a&gt;&lt;script&gt;&amp;␀"
        );
    }

    #[test]
    fn shares_stay_within_the_whole() {
        for (share, text) in [
            (0.5, "50.000%"),
            (-1.0, "0.000%"),
            (7.0, "100.000%"),
            (f64::NAN, "0.000%"),
        ] {
            let mut markup = Markup::default();
            markup.percent(share);
            assert_eq!(markup.into_string(), text);
        }
    }

    #[test]
    fn what_is_filled_in_is_no_template() {
        let filled = Markup::fill("<{{a}}|{{b}}>", |name| match name {
            "a" => Markup::from("{{b}}"),
            _ => Markup::from("b"),
        });
        assert_eq!(filled.into_string(), "<{{b}}|b>");
    }
}
