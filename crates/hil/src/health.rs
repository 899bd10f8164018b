// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether the kernel on the board is still well: a test that passes while the kernel complains
//! has not passed.

use agent_wire::Record;

/// What an out-of-tree module without a signature taints the kernel with, `O` and `E`.
///
/// Reference: <https://docs.kernel.org/admin-guide/tainted-kernels.html>
const EXPECTED_TAINT: u64 = (1 << 12) | (1 << 13);

/// How the kernel begins to complain.
const COMPLAINTS: [&str; 10] = [
    "WARNING: ",
    "BUG: ",
    "BUG kmalloc",
    "UBSAN: ",
    "rcu: INFO: ",
    "Oops",
    "Internal error",
    "Unable to handle kernel",
    "KFENCE: ",
    "blocked for more than",
];

/// Those messages in which the kernel complains.
pub fn complaints(log: &[Record]) -> Vec<&Record> {
    let is_complaint = |text: &str| COMPLAINTS.iter().any(|start| text.contains(start));
    log.iter().filter(|r| is_complaint(&r.text)).collect()
}

/// What is wrong with `/proc/sys/kernel/tainted`, if anything.
pub fn unexpected_taint(taint: u64) -> Option<String> {
    let unexpected = taint & !EXPECTED_TAINT;
    (unexpected != 0).then(|| {
        format!("the kernel is tainted by {unexpected:#x} besides an unsigned out-of-tree module")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complaints_are_taken() {
        let record = |text: &str| Record {
            sequence: 0,
            time_us: 0,
            level: 4,
            text: text.to_owned(),
        };
        let log = [
            "dmacopy: loading out-of-tree module taints kernel.",
            "WARNING: CPU: 0 PID: 1 at mm/slub.c:1",
            "BUG kmalloc-64 (Tainted: G O): Right Redzone overwritten",
        ];
        assert_eq!(
            complaints(&log.map(record)),
            [&record(log[1]), &record(log[2])]
        );
    }

    #[test]
    fn a_warning_taints_and_the_module_alone_does_not_count() {
        assert_eq!(unexpected_taint(EXPECTED_TAINT), None);
        assert_eq!(unexpected_taint(0), None);
        assert!(unexpected_taint(EXPECTED_TAINT | (1 << 9)).is_some());
    }
}
