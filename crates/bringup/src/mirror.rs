// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which Debian mirror to use: the one this PC's administrator chose.

use std::process::Command;

use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, Result};

/// The setting that overrides what apt's configuration says.
const SETTING: &str = "BRINGUP_DEBIAN_MIRROR";

/// The address of a Debian mirror, without a slash at its end.
pub(crate) fn find() -> Result<String> {
    if let Some(chosen) = std::env::var(SETTING)
        .ok()
        .filter(|value| !value.is_empty())
    {
        return Ok(chosen.trim_end_matches('/').to_owned());
    }
    let targets = external::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(LABEL)",
        "Created-By: Packages",
    ]));
    targets
        .ok()
        .and_then(|targets| targets.lines().find_map(debian))
        .ok_or_else(|| {
            Failure::new(
                Exit::Environment,
                "no Debian mirror is named in this PC's apt configuration",
            )
            .help(format!("set {SETTING} to the address of one"))
        })
}

/// The address in a line "address label", if it is a mirror of the main archive.
///
/// The label is known only after the first `apt-get update`; before it the last part of the path
/// decides, which is `debian` on mirrors by convention.
fn debian(line: &str) -> Option<String> {
    let (address, label) = line.split_once(' ').unwrap_or((line, ""));
    let address = address.trim_end_matches('/');
    let is_http = address.starts_with("http://") || address.starts_with("https://");
    let is_debian = label == "Debian" || (label.is_empty() && address.ends_with("/debian"));
    (is_http && is_debian).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::debian;

    #[test]
    fn only_the_main_archive_is_taken() {
        let mirror = Some("http://mirror.example/debian".to_owned());
        assert_eq!(debian("http://mirror.example/debian/ Debian"), mirror);
        assert_eq!(debian("http://mirror.example/debian/ "), mirror);
        assert_eq!(
            debian("http://mirror.example/debian-security/ Debian-Security"),
            None
        );
        assert_eq!(debian("http://mirror.example/debian-security/ "), None);
        assert_eq!(debian("https://vendor.example/node nodistro"), None);
        assert_eq!(debian("cdrom:[Debian]/ Debian"), None);
    }
}
