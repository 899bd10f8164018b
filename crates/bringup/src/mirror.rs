// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which Debian mirror to use: the one this PC's administrator chose.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, OrFail as _, Result};

/// apt's own downloader, which goes by the PC's proxy settings.
const DOWNLOADER: &str = "/usr/lib/apt/apt-helper";

/// How long a mirror may be silent, and how long the answer may take in all, in seconds.
const SILENCE: u32 = 5;
const PATIENCE: u32 = 15;

/// The setting that overrides what apt's configuration says.
const SETTING: &str = "BRINGUP_DEBIAN_MIRROR";

/// The address of a Debian mirror, without a slash at its end.
pub(crate) fn find() -> Result<String> {
    if let Some(chosen) = chosen()? {
        return Ok(chosen);
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

/// Refuses a setting that is no address, before anything is begun that needs one.
pub(crate) fn require_address() -> Result<()> {
    chosen().map(drop)
}

/// What the setting says, if it says anything.
fn chosen() -> Result<Option<String>> {
    let chosen = std::env::var_os(SETTING).filter(|value| !value.is_empty());
    let Some(chosen) = chosen else {
        return Ok(None);
    };
    let chosen = chosen.to_string_lossy();
    let address = chosen.trim_end_matches('/');
    if is_address(address) {
        return Ok(Some(address.to_owned()));
    }
    let what = format!("{SETTING} is {chosen:?}, which is no address of a Debian mirror");
    Err(Failure::new(Exit::Refused, what)
        .help("it is like http://mirror.example/debian, by http or https"))
}

/// Whether this is the address of something on the network.
fn is_address(text: &str) -> bool {
    let schemes = ["http://", "https://"].iter();
    let rest = schemes
        .filter_map(|scheme| text.strip_prefix(scheme))
        .next();
    let names_a_host = |rest: &str| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']);
    rest.is_some_and(names_a_host) && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Whether this PC has what [`fetch`] needs.
pub(crate) fn can_fetch() -> bool {
    Path::new(DOWNLOADER).is_file()
}

/// Fetches one file, soon or not at all; otherwise says why not.
pub(crate) fn fetch(address: &str, to: &Path) -> std::result::Result<(), String> {
    let mut command = Command::new("timeout");
    command
        .arg(PATIENCE.to_string())
        .arg(DOWNLOADER)
        .args(["-o", "Acquire::Retries=0"]);
    for scheme in ["http", "https"] {
        command.args(["-o", &format!("Acquire::{scheme}::Timeout={SILENCE}")]);
    }
    let output = command
        .args(["download-file", address])
        .arg(to)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start timeout: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    if output.status.code() == Some(124) {
        return Err(format!("no answer within {PATIENCE} s"));
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(reason(&complaint, address).unwrap_or_else(|| format!("apt failed ({})", output.status)))
}

/// Why apt could not fetch from `address`, in its own words.
fn reason(complaint: &str, address: &str) -> Option<String> {
    let failed = |line: &str| {
        let rest = line.strip_prefix("E: Failed to fetch ")?;
        Some(rest.strip_prefix(address)?.trim().to_owned())
    };
    complaint.lines().find_map(failed)
}

/// Asks a mirror for a suite by fetching the file that describes it; says why it does not have it.
pub(crate) fn ask(
    mirror: &str,
    suite: &str,
    fetch: impl Fn(&str, &Path) -> std::result::Result<(), String>,
) -> Result<std::result::Result<(), String>> {
    let file = tempfile::NamedTempFile::new().or_environment(|| "cannot make a temporary file")?;
    let address = format!("{mirror}/dists/{suite}/InRelease");
    if let Err(why) = fetch(&address, file.path()) {
        return Ok(Err(why));
    }
    let release = std::fs::read(file.path()).or_environment(|| "cannot read what was fetched")?;
    let release = String::from_utf8_lossy(&release);
    let names = ["Suite", "Codename"].map(|field| format!("{field}: {suite}"));
    // A gateway that wants a password answers anything with a page of its own.
    if release.lines().any(|line| names.iter().any(|n| n == line)) {
        Ok(Ok(()))
    } else {
        Ok(Err("what answers is no Debian archive".to_owned()))
    }
}

/// The address in a line "address label", if it is a mirror of the main archive.
///
/// The label is known only after the first `apt-get update`; before it the last part of the path
/// decides, which is `debian` on mirrors by convention.
fn debian(line: &str) -> Option<String> {
    let (address, label) = line.split_once(' ').unwrap_or((line, ""));
    let address = address.trim_end_matches('/');
    let is_debian = label == "Debian" || (label.is_empty() && address.ends_with("/debian"));
    (is_address(address) && is_debian).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_that_does_not_have_the_suite_is_told_from_one_that_has() {
        let asked = |answer: std::result::Result<&str, &str>| {
            let fetch = |address: &str, to: &Path| {
                assert_eq!(
                    address,
                    "http://mirror.example/debian/dists/trixie/InRelease"
                );
                std::fs::write(to, answer?).unwrap();
                Ok(())
            };
            ask("http://mirror.example/debian", "trixie", fetch).unwrap()
        };
        assert_eq!(asked(Ok("Origin: Debian\nCodename: trixie\n")), Ok(()));
        let page = asked(Ok("<html>Please log in</html>"));
        assert!(page.unwrap_err().contains("no Debian archive"));
        let other = asked(Ok("Origin: Debian\nCodename: trixie-backports\n"));
        assert!(other.is_err(), "another suite");
        assert_eq!(asked(Err("404  Not Found")), Err("404  Not Found".into()));
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for address in [
            "http://mirror.example/debian",
            "https://[::1]:8080",
            "http://x",
        ] {
            assert!(is_address(address), "{address}");
        }
        for other in [
            "nonsense",
            "mirror.example/debian",
            "http://",
            "http:///debian",
            "/srv/mirror",
            "http://a b/debian",
            "http://a/debian\ndeb http://b",
        ] {
            assert!(!is_address(other), "{other}");
        }
    }

    #[test]
    fn apts_reason_is_taken_without_the_address() {
        let complaint = "W: Download is performed unsandboxed\n\
                         E: Failed to fetch http://m.example/x  404  Not Found\n\
                         E: Download Failed\n";
        let found = reason(complaint, "http://m.example/x");
        assert_eq!(found.as_deref(), Some("404  Not Found"));
        assert_eq!(reason("E: Download Failed\n", "http://m.example/x"), None);
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_an_error_soon() {
        if !can_fetch() {
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let why = fetch("http://127.0.0.1:9/x", file.path()).unwrap_err();
        assert!(!why.is_empty() && !why.contains('\n'), "{why}");
    }

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
