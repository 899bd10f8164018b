// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong with a family.

use std::fmt;
use std::io;

use thiserror::Error;

use crate::Operation;

/// Why something with a generic netlink family failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Failure {
    /// An operation on the socket.
    #[error("cannot {operation} the socket")]
    Socket {
        /// What was attempted.
        operation: Operation,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel does not know the family; its driver may not be loaded.
    #[error("the kernel has no such family")]
    NoFamily,
    /// The family has no such multicast group.
    #[error("there is no multicast group {0:?}")]
    NoGroup(String),
    /// The kernel refused a request.
    #[error("command {command} was refused{}", Because(reason.as_deref(), *attribute))]
    Refused {
        /// The command.
        command: u8,
        /// The kernel's own words.
        reason: Option<String>,
        /// The number of the attribute that is wrong or missing.
        attribute: Option<u16>,
        /// The error number.
        source: io::Error,
    },
    /// The kernel did not answer.
    #[error("command {0} was not answered")]
    Unanswered(u8),
    /// What was asked for changed each time while it was listed.
    #[error("what command {0} lists does not keep still")]
    Unsteady(u8),
    /// Messages came faster than they were read, and the kernel dropped some.
    #[error("messages were lost because the socket's buffer was full")]
    Lost,
    /// The kernel sent something that is no message.
    #[error("the kernel sent a malformed message: {0}")]
    Malformed(String),
    /// A message lacks an attribute that it should have.
    #[error("message {command} has no attribute {attribute}")]
    Missing {
        /// The message's command.
        command: u8,
        /// The attribute's number.
        attribute: u16,
    },
    /// An attribute is not what it should be.
    #[error("attribute {attribute} of message {command} has {length} bytes, and is no {expected}")]
    Attribute {
        /// The message's command.
        command: u8,
        /// The attribute's number.
        attribute: u16,
        /// How long it is, in bytes.
        length: usize,
        /// What was expected.
        expected: &'static str,
    },
}

impl Failure {
    pub(crate) fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Socket { source, .. } | Self::Refused { source, .. } => source.raw_os_error(),
            Self::NoFamily => Some(libc::ENOENT),
            Self::Lost => Some(libc::ENOBUFS),
            _ => None,
        }
    }
}

/// What the kernel says about a refusal, as the rest of a sentence.
struct Because<'a>(Option<&'a str>, Option<u16>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attribute) = self.1 {
            write!(f, " because of attribute {attribute}")?;
        }
        if let Some(reason) = self.0 {
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_all_that_the_kernel_told() {
        let refused = |reason: Option<&str>, attribute| Failure::Refused {
            command: 1,
            reason: reason.map(str::to_owned),
            attribute,
            source: io::Error::from_raw_os_error(libc::EINVAL),
        };
        assert_eq!(refused(None, None).to_string(), "command 1 was refused");
        assert_eq!(
            refused(Some("no such thing"), Some(7)).to_string(),
            "command 1 was refused because of attribute 7: no such thing"
        );
        assert_eq!(refused(None, None).raw_os_error(), Some(libc::EINVAL));
    }
}
