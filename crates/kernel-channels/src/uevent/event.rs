// SPDX-License-Identifier: MIT OR Apache-2.0

//! One message of the kernel: `action@devpath`, then `KEY=value` each, all ended by zero bytes.

use std::collections::BTreeMap;

use thiserror::Error;

/// What the kernel says about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// The device's path below `/sys`, as in `/devices/virtual/misc/kvm`.
    pub devpath: String,
    /// The class or bus that the device belongs to, if any.
    pub subsystem: Option<String>,
    /// The number of the event, system-wide.
    pub seqnum: u64,
    /// All variables, those above included.
    pub variables: BTreeMap<String, String>,
}

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It has come.
    Add,
    /// It has gone.
    Remove,
    /// Something about it has changed.
    Change,
    /// It has a new name or a new place.
    Move,
    /// It can be used again.
    Online,
    /// It cannot be used for now.
    Offline,
    /// A driver was bound to it.
    Bind,
    /// Its driver was unbound from it.
    Unbind,
}

impl Action {
    const ALL: [Self; 8] = [
        Self::Add,
        Self::Remove,
        Self::Change,
        Self::Move,
        Self::Online,
        Self::Offline,
        Self::Bind,
        Self::Unbind,
    ];

    /// The kernel's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Change => "change",
            Self::Move => "move",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Bind => "bind",
            Self::Unbind => "unbind",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}

/// Why a message is no uevent of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The message does not end with a zero byte, so something may be missing.
    #[error("the message is cut short")]
    CutShort,
    /// The message is not text.
    #[error("the message is not UTF-8")]
    NotText,
    /// The message does not begin with `action@devpath`.
    #[error("no header")]
    Header,
    /// A line is no `KEY=value`.
    #[error("{0:?} is no variable")]
    Variable(String),
    /// A variable comes twice.
    #[error("variable {0} comes twice")]
    Duplicate(String),
    /// A variable that every event has is missing.
    #[error("variable {0} is missing")]
    Missing(&'static str),
    /// The variable and the header say different things.
    #[error("variable {0} contradicts the header")]
    Contradiction(&'static str),
    /// An action that this program does not know.
    #[error("unknown action {0:?}")]
    Action(String),
    /// The event's number is none.
    #[error("{0:?} is no sequence number")]
    Seqnum(String),
}

impl Event {
    /// Reads a message as it comes from the socket.
    ///
    /// # Errors
    ///
    /// What is wrong with the message, first fault first.
    pub fn parse(message: &[u8]) -> Result<Self, Malformed> {
        let message = message.strip_suffix(b"\0").ok_or(Malformed::CutShort)?;
        let text = std::str::from_utf8(message).map_err(|_| Malformed::NotText)?;
        let mut lines = text.split('\0');
        let header = lines.next().and_then(|line| line.split_once('@'));
        let (action, devpath) = header.ok_or(Malformed::Header)?;

        let mut variables = BTreeMap::new();
        for line in lines {
            let (key, value) = match line.split_once('=') {
                Some((key, value)) if !key.is_empty() => (key, value),
                _ => return Err(Malformed::Variable(line.to_owned())),
            };
            if variables.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(Malformed::Duplicate(key.to_owned()));
            }
        }

        let required = |key: &'static str| variables.get(key).ok_or(Malformed::Missing(key));
        if required("ACTION")? != action {
            return Err(Malformed::Contradiction("ACTION"));
        }
        if required("DEVPATH")? != devpath {
            return Err(Malformed::Contradiction("DEVPATH"));
        }
        Self::of(variables)
    }

    /// The event that these variables tell of.
    pub(super) fn of(variables: BTreeMap<String, String>) -> Result<Self, Malformed> {
        let required = |key: &'static str| variables.get(key).ok_or(Malformed::Missing(key));
        let (action, seqnum) = (required("ACTION")?, required("SEQNUM")?);
        Ok(Self {
            action: Action::parse(action).ok_or_else(|| Malformed::Action(action.clone()))?,
            devpath: required("DEVPATH")?.clone(),
            subsystem: variables.get("SUBSYSTEM").cloned(),
            seqnum: seqnum
                .parse()
                .map_err(|_| Malformed::Seqnum(seqnum.clone()))?,
            variables,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: &str = "change@/devices/x\0ACTION=change\0DEVPATH=/devices/x\0\
                          SUBSYSTEM=misc\0DMACOPY_STATE=stalled\0SEQNUM=1234\0";

    fn fault(message: &str) -> Malformed {
        Event::parse(message.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_message_is_read_whole() {
        let event = Event::parse(CHANGE.as_bytes()).unwrap();
        assert_eq!(event.action, Action::Change);
        assert_eq!(event.devpath, "/devices/x");
        assert_eq!(event.subsystem.as_deref(), Some("misc"));
        assert_eq!(event.seqnum, 1234);
        assert_eq!(event.variables["DMACOPY_STATE"], "stalled");
        assert_eq!(event.variables.len(), 5);
    }

    #[test]
    fn a_value_may_be_empty_or_contain_an_equals_sign() {
        let message = CHANGE.replace("DMACOPY_STATE=stalled", "EMPTY=\0MODALIAS=of:Na=b");
        let event = Event::parse(message.as_bytes()).unwrap();
        assert_eq!(event.variables["EMPTY"], "");
        assert_eq!(event.variables["MODALIAS"], "of:Na=b");
    }

    #[test]
    fn each_word_of_the_kernel_is_an_action_of_its_own() {
        let kernels = "add remove change move online offline bind unbind";
        for word in kernels.split(' ') {
            let message = CHANGE.replace("change", word);
            let event = Event::parse(message.as_bytes()).unwrap();
            assert_eq!(event.action.word(), word);
        }
        assert_eq!(kernels.split(' ').count(), Action::ALL.len());
    }

    #[test]
    fn no_message_that_was_cut_anywhere_is_accepted() {
        for length in 0..CHANGE.len() {
            let cut = &CHANGE.as_bytes()[..length];
            assert!(Event::parse(cut).is_err(), "accepted {length} bytes");
        }
    }

    #[test]
    fn a_message_of_udevd_is_not_taken_for_one_of_the_kernel() {
        assert_eq!(fault("libudev\0\u{1}\u{2}\0"), Malformed::Header);
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let replaced = |from: &str, to: &str| fault(&CHANGE.replace(from, to));
        assert_eq!(fault(""), Malformed::CutShort);
        assert_eq!(fault("\0"), Malformed::Header);
        assert_eq!(
            replaced("SUBSYSTEM=misc", "SUBSYSTEM"),
            Malformed::Variable("SUBSYSTEM".into())
        );
        assert_eq!(
            replaced("SUBSYSTEM=misc", "=misc"),
            Malformed::Variable("=misc".into())
        );
        assert_eq!(
            replaced("SUBSYSTEM=misc", ""),
            Malformed::Variable(String::new())
        );
        assert_eq!(
            replaced("SUBSYSTEM=misc", "SEQNUM=1"),
            Malformed::Duplicate("SEQNUM".into())
        );
        assert_eq!(replaced("\0SEQNUM=1234", ""), Malformed::Missing("SEQNUM"));
        assert_eq!(
            replaced("SEQNUM=1234", "SEQNUM=-1"),
            Malformed::Seqnum("-1".into())
        );
        assert_eq!(
            replaced("ACTION=change", "ACTION=add"),
            Malformed::Contradiction("ACTION")
        );
        assert_eq!(
            replaced("=/devices/x", "=/devices/y"),
            Malformed::Contradiction("DEVPATH")
        );
        assert_eq!(
            replaced("change", "explode"),
            Malformed::Action("explode".into())
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(Event::parse(b"add@/\xff\0"), Err(Malformed::NotText));
    }
}
