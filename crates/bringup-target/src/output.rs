// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the commands print: text for people, or JSON for programs. Colours are for a terminal, and
//! only without `NO_COLOR`.

use std::io::{ErrorKind, Write};

use anyhow::Context as _;
use serde::Serialize;

/// Prints a document, in one of its two forms.
pub(crate) fn print(
    json: bool,
    document: &impl Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let text = match json {
        true => serde_json::to_string_pretty(document)? + "\n",
        false => text(),
    };
    write(&mut anstream::stdout().lock(), &text)?;
    Ok(())
}

/// Prints one of many lines, at once, and says whether somebody still reads them.
pub(crate) fn print_line(
    json: bool,
    line: &impl Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<bool> {
    let line = match json {
        true => serde_json::to_string(line)?,
        false => text(),
    };
    write(&mut anstream::stdout().lock(), &(line + "\n"))
}

/// Tells people something beside the results. Whether they hear it changes nothing.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Whoever reads may have seen enough, as with `| head`: that is no failure.
fn write(output: &mut impl Write, text: &str) -> anyhow::Result<bool> {
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => result
            .map(|()| true)
            .context("cannot write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Refuses all that is written.
    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_told_from_a_disk_that_is_full() {
        assert!(write(&mut Vec::new(), "text").unwrap());
        assert!(!write(&mut Refusing(ErrorKind::BrokenPipe), "text").unwrap());
        write(&mut Refusing(ErrorKind::StorageFull), "text").unwrap_err();
    }
}
