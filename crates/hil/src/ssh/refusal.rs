// SPDX-License-Identifier: MIT OR Apache-2.0

//! What it means when ssh ends before the agent talks.

use std::process::ExitStatus;

use super::Settings;
use crate::Error;

/// What ssh ends with when it is ssh that failed, and not what it ran.
const OF_SSH: i32 = 255;

/// How many of the last lines are told.
const TOLD: usize = 3;

/// What only a person can mend, by what ssh says of it, and how.
const FINAL: [(&str, &str); 6] = [
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "another board answers at this address, or this one was installed anew; if that is in order, \
         `ssh-keygen -R` makes this PC forget the old key",
    ),
    (
        "Host key verification failed",
        "this PC does not know the board's key: log in once by hand and compare it",
    ),
    (
        "Permission denied",
        "the board does not take the key: name the private one as ssh.identity, and put the public \
         one into the user's .ssh/authorized_keys on the board",
    ),
    (
        "Too many authentication failures",
        "name the one private key that the board takes as ssh.identity",
    ),
    ("Bad configuration option", "mend ssh.options of this bench"),
    ("usage: ssh", "mend ssh.options of this bench"),
];

/// What passes when the board has booted, or does not; and what to look at then.
const PASSING: [(&str, &str); 5] = [
    (
        "Connection refused",
        "does the board serve logins, and at this port?",
    ),
    (
        "No route to host",
        "is the board on, and its network cable in?",
    ),
    ("timed out", "is the board on, and its network cable in?"),
    (
        "Could not resolve hostname",
        "is ssh.host the board's name?",
    ),
    // What it says besides means something else while the system is on its way.
    (
        "System is booting up",
        "the board does not take logins before it has booted",
    ),
];

/// Why a login did not get as far as the agent.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Whether the same may go well in a moment, when the board has booted.
    pub(super) may_pass: bool,
    pub(super) error: Error,
}

impl Refusal {
    /// Explains the end of ssh by its status and its words. No status: it had to be ended.
    pub(super) fn new(settings: &Settings, status: Option<ExitStatus>, words: &[String]) -> Self {
        let text = words.join("\n");
        let hint_in = |table: &[(&str, &'static str)]| {
            let found = table.iter().find(|(said, _)| text.contains(said));
            found.map(|(_, hint)| *hint)
        };
        let passing = hint_in(&PASSING);
        let waits = text.contains("System is booting up");
        let last = if waits { None } else { hint_in(&FINAL) };
        // A failure of the connection passes, and one of the script on the board does not.
        let is_of_ssh = status.is_none_or(|status| status.code() == Some(OF_SSH));
        Self {
            may_pass: is_of_ssh && last.is_none(),
            error: Error::Login {
                place: settings.to_string(),
                said: said(status, words),
                hint: last.or(passing),
            },
        }
    }
}

/// The last lines, but for frames and blanks.
fn said(status: Option<ExitStatus>, words: &[String]) -> String {
    let lines = words.iter().map(|line| line.trim());
    let lines: Vec<_> = lines
        .filter(|line| !line.trim_matches('@').is_empty())
        .collect();
    let skipped = lines.len().saturating_sub(TOLD);
    match (lines.is_empty(), status) {
        (false, _) => lines[skipped..].join("; "),
        (true, Some(status)) => format!("ssh ended without a word ({status})"),
        (true, None) => "ssh did not get through in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn refusal(code: i32, words: &str) -> (bool, String) {
        let words: Vec<_> = words.lines().map(str::to_owned).collect();
        let status = Some(ExitStatus::from_raw(code << 8));
        let refusal = Refusal::new(&Settings::new("pi"), status, &words);
        (refusal.may_pass, refusal.error.to_string())
    }

    #[test]
    fn a_board_that_is_on_its_way_is_asked_again() {
        for words in [
            "ssh: connect to host pi port 22: Connection refused",
            "ssh: connect to host pi port 22: No route to host",
            "kex_exchange_identification: Connection closed by remote host",
            "Connection timed out during banner exchange",
            "\"System is booting up. Unprivileged users are not permitted to log in yet.\"\n\
             Permission denied (publickey).",
        ] {
            let (may_pass, text) = refusal(255, words);
            assert!(may_pass, "{text}");
            assert!(text.contains(words.lines().next().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_only_a_person_can_mend_is_told_with_how() {
        let (may_pass, text) = refusal(255, "root@pi: Permission denied (publickey).");
        assert!(!may_pass && text.contains("ssh.identity"), "{text}");
        let frame = "@@@@@@@@";
        let changed = format!(
            "{frame}\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n{frame}\n\
             Host key verification failed."
        );
        let (may_pass, text) = refusal(255, &changed);
        assert!(!may_pass && text.contains("ssh-keygen -R"), "{text}");
        assert!(!text.contains(frame), "{text}");
        let (may_pass, text) = refusal(255, "Host key verification failed.");
        assert!(!may_pass && text.contains("by hand"), "{text}");
    }

    #[test]
    fn a_script_that_fails_on_the_board_is_not_tried_for_ever() {
        let (may_pass, text) = refusal(72, "cat: write error: No space left on device");
        assert!(!may_pass && text.contains("No space left"), "{text}");
        let (_, text) = refusal(1, "");
        assert!(text.contains("exit status: 1"), "{text}");
    }
}
