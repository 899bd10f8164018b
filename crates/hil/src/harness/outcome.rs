// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a test returns.

use std::error::Error;

/// What a test or a part of it comes to: nothing, or the text of an error.
#[doc(hidden)]
pub type Verdict = Result<(), String>;

/// What a test may return: nothing, or [`hil::Result`](crate::Result), or a result with any other
/// error.
#[diagnostic::on_unimplemented(
    message = "a test cannot return `{Self}`",
    label = "this test, setup or teardown returns `{Self}`",
    note = "return nothing, or `hil::Result`"
)]
pub trait Outcome {
    /// Nothing, or what the errors say, from the outermost to the first cause.
    #[doc(hidden)]
    fn verdict(self) -> Verdict;
}

impl Outcome for () {
    fn verdict(self) -> Verdict {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error>>> Outcome for Result<(), E> {
    fn verdict(self) -> Verdict {
        self.map_err(|error| chain(&*error.into()))
    }
}

/// See [`Outcome::verdict`].
#[doc(hidden)]
pub fn verdict(outcome: impl Outcome) -> Verdict {
    outcome.verdict()
}

/// What an error and its causes say.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors repeat what their cause says.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use thiserror::Error;

    #[derive(Debug, Error)]
    enum Layered {
        #[error("no bus")]
        Bus,
        #[error("no card")]
        Card(#[source] Box<Layered>),
        #[error("no light: {0}")]
        Light(#[source] Box<Layered>),
    }

    #[test]
    fn nothing_is_no_error() {
        assert_eq!(verdict(()), Ok(()));
        assert_eq!(verdict(Ok::<(), String>(())), Ok(()));
    }

    #[test]
    fn an_error_tells_its_causes_once_each() {
        let card = || Layered::Card(Box::new(Layered::Bus));
        assert_eq!(verdict(Err(card())), Err("no card: no bus".to_owned()));
        let light = Layered::Light(Box::new(card()));
        let expected = Err("no light: no card: no bus".to_owned());
        assert_eq!(verdict(Err(light)), expected);
    }

    #[test]
    fn a_text_is_an_error_too() {
        assert_eq!(verdict(Err("no")), Err("no".to_owned()));
        let boxed: Result<(), Box<dyn Error>> = Err("no".into());
        assert_eq!(verdict(boxed), Err("no".to_owned()));
    }
}
