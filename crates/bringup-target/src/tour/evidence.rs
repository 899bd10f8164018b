// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a room has seen.

use std::fmt::Display;

use agent_wire::report::Fact;
use anyhow::ensure;
use dmacopy_client::Counters;
use nix::errno::Errno;

/// All that a room has seen, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence(Vec<Fact>);

impl Evidence {
    /// The facts.
    pub(super) fn into_facts(self) -> Vec<Fact> {
        self.0
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
            Some(number) => Errno::from_raw(number),
            None => return Err(anyhow::Error::new(error).context(format!("{what}: no errno"))),
        };
        let name = |errno: Errno| format!("{errno:?}");
        self.equal(what, name(expected), name(found), "errno")
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
        self.0.push(Fact {
            what: what.to_owned(),
            sent: sent.to_string(),
            received: received.to_string(),
            verified: verified_by.to_owned(),
        });
    }
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
        assert_eq!(evidence.0.len(), 1);
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
        assert_eq!(evidence.0.len(), 1);
        assert!(evidence.0[0].sent.starts_with("3 bytes, "));
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
        assert_eq!(evidence, Evidence::default());
        check(&mut evidence, Err(failure(Errno::EINVAL))).unwrap();
        assert_eq!(evidence.0[0].received, "EINVAL");
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
