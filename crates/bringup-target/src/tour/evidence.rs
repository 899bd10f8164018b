// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a room has seen.

use std::error::Error as _;
use std::fmt::Display;

use agent_wire::report::{Direction, Fact};
use anyhow::ensure;
use dmacopy_client::Counters;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::step::Step;

/// All that a room has done and seen, in order. The tour shows what was checked, the visit of a
/// single room each step as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence(Vec<Step>);

impl Evidence {
    /// What was checked.
    pub(super) fn into_facts(self) -> Vec<Fact> {
        self.0.into_iter().flat_map(|step| step.verified).collect()
    }

    /// What was done, and what was checked after each step.
    pub(super) fn into_steps(self) -> Vec<Step> {
        self.0
    }

    /// Takes down that the program has told the kernel something: by which call on which file, and
    /// how that was answered.
    pub(super) fn gave(&mut self, what: &str, through: impl Display, answer: impl Display) {
        self.step(what, Direction::ToKernel, &through, &answer);
    }

    /// Takes down that the kernel has told the program something: where it was found, and what.
    pub(super) fn got(&mut self, what: &str, through: impl Display, found: impl Display) {
        self.step(what, Direction::ToUser, &through, &found);
    }

    /// Takes down that the program has asked the kernel something, and what it has answered.
    pub(super) fn asked(&mut self, what: &str, through: impl Display, answer: impl Display) {
        self.step(what, Direction::Both, &through, &answer);
    }

    fn step(&mut self, what: &str, direction: Direction, by: &dyn Display, answer: &dyn Display) {
        self.0.push(Step {
            what: what.to_owned(),
            direction,
            through: by.to_string(),
            answer: answer.to_string(),
            verified: Vec::new(),
        });
    }

    /// Takes two values down, and fails unless they are equal.
    pub(super) fn equal<T: PartialEq + Display>(
        &mut self,
        what: &str,
        sent: T,
        received: T,
        verified_by: &str,
    ) -> anyhow::Result<()> {
        ensure!(
            sent == received,
            "{what}: expected {sent}, but {verified_by} says {received}"
        );
        self.note(what, &sent, &received, verified_by);
        Ok(())
    }

    /// Takes bytes down by their number and checksum, and fails unless they are equal.
    pub(super) fn equal_bytes(
        &mut self,
        what: &str,
        sent: &[u8],
        received: &[u8],
        verified_by: &str,
    ) -> anyhow::Result<()> {
        let different = sent.iter().zip(received).position(|(a, b)| a != b);
        if let Some(position) = different {
            anyhow::bail!("{what}: byte {position} differs, according to {verified_by}");
        }
        self.equal(what, digest(sent), digest(received), verified_by)
    }

    /// Takes a refusal down, and fails unless the kernel refused with exactly that error.
    pub(super) fn refused<T>(
        &mut self,
        what: &str,
        attempt: Result<T, dmacopy_client::Error>,
        expected: Errno,
    ) -> anyhow::Result<()> {
        let error = match attempt {
            Ok(_) => anyhow::bail!("{what}: the driver accepted it"),
            Err(error) => error,
        };
        let found = match error.raw_os_error() {
            Some(number) => number,
            None => return Err(anyhow::Error::new(error).context(format!("{what}: no errno"))),
        };
        let call = error
            .source()
            .map_or(error.to_string(), |call| call.to_string());
        self.returned(what, call, found, expected)
    }

    /// The same for a call that is none of the driver's client.
    pub(super) fn refused_call<T>(
        &mut self,
        what: &str,
        through: impl Display,
        attempt: Result<T, kernel_channels::Error>,
        expected: Errno,
    ) -> anyhow::Result<()> {
        let error = match attempt {
            Ok(_) => anyhow::bail!("{what}: the kernel did it"),
            Err(error) => error,
        };
        match error.raw_os_error() {
            Some(found) => self.returned(what, through, found, expected),
            None => Err(anyhow::Error::new(error).context(format!("{what}: no errno"))),
        }
    }

    fn returned(
        &mut self,
        what: &str,
        through: impl Display,
        found: i32,
        expected: Errno,
    ) -> anyhow::Result<()> {
        let found = errno_name(found);
        self.asked(what, through, &found);
        self.equal(what, errno_name(expected as i32), found, "errno")
    }

    /// Takes down by how much the counters have grown, and fails unless it is exactly that.
    pub(super) fn grown(
        &mut self,
        before: Counters,
        after: Counters,
        expected: Counters,
    ) -> anyhow::Result<()> {
        let grown = |before: u64, after: u64| after.wrapping_sub(before);
        self.equal(
            "transfers counted",
            expected.transfers,
            grown(before.transfers, after.transfers),
            "sysfs transfers",
        )?;
        self.equal(
            "bytes counted",
            expected.bytes,
            grown(before.bytes, after.bytes),
            "sysfs bytes",
        )?;
        self.equal(
            "errors counted",
            expected.errors,
            grown(before.errors, after.errors),
            "sysfs errors",
        )
    }

    /// Takes down what has been checked already.
    pub(super) fn note(
        &mut self,
        what: &str,
        sent: &dyn Display,
        received: &dyn Display,
        verified_by: &str,
    ) {
        // To look is a step, too, if it is the first.
        if self.0.is_empty() {
            self.asked(what, verified_by, received);
        }
        if let Some(step) = self.0.last_mut() {
            step.verified.push(Fact {
                what: what.to_owned(),
                direction: step.direction,
                sent: sent.to_string(),
                received: received.to_string(),
                verified: verified_by.to_owned(),
            });
        }
    }
}

/// The name of an error number, of which 0 is none.
pub(super) fn errno_name(errno: i32) -> String {
    match errno {
        0 => "ok".to_owned(),
        errno => format!("{:?}", Errno::from_raw(errno)),
    }
}

/// The name of a signal.
pub(super) fn signal_name(number: i32) -> String {
    let known = Signal::try_from(number);
    known.map_or_else(|_| format!("signal {number}"), |signal| signal.to_string())
}

/// Bytes in brief: how many, and FNV-1a of them, to tell one text from another.
fn digest(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{} bytes, {hash:016x}", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agrees_is_taken_down_and_what_does_not_is_an_error() {
        let mut evidence = Evidence::default();
        evidence.equal("answer", 42, 42, "sysfs").unwrap();
        let error = evidence.equal("answer", 42, 41, "sysfs").unwrap_err();
        assert_eq!(error.to_string(), "answer: expected 42, but sysfs says 41");
        assert_eq!(evidence.into_facts().len(), 1);
    }

    #[test]
    fn bytes_that_differ_or_are_missing_are_noticed() {
        let mut evidence = Evidence::default();
        evidence
            .equal_bytes("text", b"abc", b"abc", "read")
            .unwrap();
        evidence
            .equal_bytes("text", b"abc", b"abd", "read")
            .unwrap_err();
        evidence
            .equal_bytes("text", b"abc", b"ab", "read")
            .unwrap_err();
        let facts = evidence.into_facts();
        assert_eq!(facts.len(), 1);
        assert!(facts[0].sent.starts_with("3 bytes, "));
    }

    #[test]
    fn error_numbers_and_signals_have_names() {
        assert_eq!(errno_name(libc::EFAULT), "EFAULT");
        assert_eq!(errno_name(0), "ok");
        assert_eq!(signal_name(libc::SIGSYS), "SIGSYS");
        assert_eq!(signal_name(64), "signal 64");
    }

    /// A failure of the kernel, with this error number.
    fn failure(errno: Errno) -> dmacopy_client::Error {
        dmacopy_client::Error::List(kernel_channels::Error::UeventSocket {
            operation: kernel_channels::Operation::Open,
            source: errno.into(),
        })
    }

    #[test]
    fn a_refusal_is_one_with_the_right_error_only() {
        let mut evidence = Evidence::default();
        let check = |evidence: &mut Evidence, attempt| {
            evidence.refused::<()>("attempt", attempt, Errno::EINVAL)
        };
        check(&mut evidence, Ok(())).unwrap_err();
        check(&mut evidence, Err(dmacopy_client::Error::NoDevice)).unwrap_err();
        let error = check(&mut evidence, Err(failure(Errno::EIO))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "attempt: expected EINVAL, but errno says EIO"
        );
        assert!(evidence.clone().into_facts().is_empty());
        check(&mut evidence, Err(failure(Errno::EINVAL))).unwrap();
        assert_eq!(evidence.into_facts()[0].received, "EINVAL");
    }

    #[test]
    fn so_is_that_of_a_call_which_is_no_request() {
        let error = |errno: Errno| kernel_channels::Error::UeventSocket {
            operation: kernel_channels::Operation::Open,
            source: errno.into(),
        };
        let mut evidence = Evidence::default();
        let check = |evidence: &mut Evidence, attempt| {
            evidence.refused_call::<()>("attempt", "socket(2)", attempt, Errno::EPERM)
        };
        check(&mut evidence, Ok(())).unwrap_err();
        check(&mut evidence, Err(kernel_channels::Error::UeventsLost)).unwrap_err();
        check(&mut evidence, Err(error(Errno::EIO))).unwrap_err();
        assert!(evidence.clone().into_facts().is_empty());
        check(&mut evidence, Err(error(Errno::EPERM))).unwrap();
        let steps = evidence.into_steps();
        let last = steps.last().unwrap();
        assert_eq!(
            (last.through.as_str(), last.verified.len()),
            ("socket(2)", 1)
        );
    }

    #[test]
    fn what_is_checked_belongs_to_the_step_before_and_to_look_is_a_step() {
        let mut evidence = Evidence::default();
        evidence.equal("sessions", 0, 0, "sysfs sessions").unwrap();
        evidence.gave("open a session", "open(2) of /dev/dmacopy0", "3");
        evidence.equal("sessions", 1, 1, "sysfs sessions").unwrap();
        evidence.equal("session", 7, 7, "ioctl INFO").unwrap();
        evidence.got("a completion", "the mapped ring", "user_data 1");
        let steps = evidence.clone().into_steps();
        let found: Vec<_> = steps
            .iter()
            .map(|step| (step.what.as_str(), step.direction, step.verified.len()))
            .collect();
        let expected = [
            ("sessions", Direction::Both, 1),
            ("open a session", Direction::ToKernel, 2),
            ("a completion", Direction::ToUser, 0),
        ];
        assert_eq!(found, expected);
        let of_steps: Vec<_> = steps.into_iter().flat_map(|step| step.verified).collect();
        assert_eq!(evidence.into_facts(), of_steps);
    }

    #[test]
    fn counters_have_to_grow_by_exactly_what_was_done() {
        let before = Counters {
            transfers: 1,
            bytes: 100,
            errors: 0,
        };
        let step = Counters {
            transfers: 1,
            bytes: 50,
            errors: 0,
        };
        let after = Counters {
            transfers: 2,
            bytes: 150,
            errors: 0,
        };
        Evidence::default().grown(before, after, step).unwrap();
        Evidence::default().grown(before, before, step).unwrap_err();
    }
}
