// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's messages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One message of the kernel's log.
///
/// # References
///
/// - `Documentation/ABI/testing/dev-kmsg`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number; each boot counts from 0.
    pub sequence: u64,
    /// When, microseconds since the kernel started.
    pub time_us: u64,
    /// How bad it is, as in `syslog(3)`: 0 an emergency, 7 of interest to developers only.
    pub level: u8,
    /// What it says.
    pub text: String,
}

impl Record {
    /// Reads what one `read` of `/dev/kmsg` returns: `priority,sequence,microseconds,flags;text`,
    /// and lines with variables, which are left out.
    pub fn parse(record: &str) -> Option<Self> {
        let (prefix, text) = record.lines().next()?.split_once(';')?;
        let mut fields = prefix.split(',');
        let mut number = || fields.next()?.parse::<u64>().ok();
        let (priority, sequence, time_us) = (number()?, number()?, number()?);
        Some(Self {
            sequence,
            time_us,
            // The other bits say who prints: the kernel, mostly.
            level: u8::try_from(priority & 7).ok()?,
            text: text.to_owned(),
        })
    }
}

/// As `dmesg` shows it.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, microseconds) = (self.time_us / 1_000_000, self.time_us % 1_000_000);
        write!(f, "[{seconds:5}.{microseconds:06}] {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_number_time_level_and_text() {
        let text = "30,339,5140900,-;NET: Registered; PF_ALG\n SUBSYSTEM=net\n";
        let record = Record::parse(text).unwrap();
        assert_eq!((record.sequence, record.level), (339, 6));
        assert_eq!(record.to_string(), "[    5.140900] NET: Registered; PF_ALG");
    }

    #[test]
    fn fields_to_come_are_passed_over() {
        let record = Record::parse("4,1,1000000,c,caller=T1;x\n").unwrap();
        assert_eq!(record.to_string(), "[    1.000000] x");
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        assert_eq!(Record::parse(""), None);
        assert_eq!(Record::parse("no semicolon"), None);
        assert_eq!(Record::parse("6;x"), None);
    }
}
