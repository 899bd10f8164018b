// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether the kernel on the board is still well: a test that passes while the kernel complains
//! has not passed.

use agent_wire::Record;

/// What an out-of-tree module without a signature taints the kernel with, `O` and `E`; and `X`, which
/// is for distributions: Debian's kernel has it since a program has guarded a file by fanotify.
///
/// Reference: <https://docs.kernel.org/admin-guide/tainted-kernels.html>
const EXPECTED_TAINT: u64 = (1 << 12) | (1 << 13) | (1 << 16);

/// How the kernel begins to complain. KASAN and KFENCE do it as a `BUG: `.
const COMPLAINTS: [&str; 9] = [
    "WARNING: ",
    "BUG: ",
    "BUG kmalloc",
    "UBSAN: ",
    "rcu: INFO: ",
    "Oops",
    "Internal error",
    "Unable to handle kernel",
    "blocked for more than",
];

/// How it says that it has ended. A test on the board that runs then is lost with it; one on the PC
/// may not notice.
const PANIC: &str = "Kernel panic - not syncing";

/// Those messages in which the kernel complains.
pub fn complaints(log: &[Record]) -> Vec<&Record> {
    log.iter().filter(|r| is_complaint(&r.text)).collect()
}

fn is_complaint(text: &str) -> bool {
    // SLUB names the cache: `BUG skbuff_head_cache (Tainted: G O): Poison overwritten`.
    let of_a_cache = text.starts_with("BUG ") && text.contains("ainted");
    of_a_cache || COMPLAINTS.iter().any(|start| text.contains(start))
}

/// What the kernel's words during a test say about the test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Why it has not passed, if anything.
    pub(crate) complaints: Vec<String>,
    /// Complaints that it is meant to provoke.
    provoked: Vec<String>,
}

impl Judged {
    /// Of what the kernel has said meanwhile, and what it is tainted with since. A complaint that
    /// contains one of the texts of `provokes` is what the test is for.
    pub(crate) fn of(said: &[&str], taint: u64, provokes: &[String]) -> Self {
        let is_provoked = |text: &&str| provokes.iter().any(|part| text.contains(part.as_str()));
        let all = said.iter().copied();
        let all = all.filter(|text| is_complaint(text) || text.contains(PANIC));
        let (provoked, complaints): (Vec<&str>, Vec<&str>) = all.partition(is_provoked);
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        let mut judged = Self {
            complaints: owned(complaints),
            provoked: owned(provoked),
        };
        // A complaint taints, so the taint says nothing more.
        if judged.complaints.is_empty() && judged.provoked.is_empty() {
            judged.complaints.extend(unexpected_taint(taint));
        }
        judged
    }

    /// What was provoked, for a report.
    pub(crate) fn notes(&self) -> impl Iterator<Item = (String, String)> + use<'_> {
        let note = |text: &String| ("provoked".to_owned(), text.clone());
        self.provoked.iter().map(note)
    }
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
    fn each_kind_of_complaint_is_known_and_what_only_resembles_one_is_none() {
        for text in [
            "WARNING: CPU: 0 PID: 1 at mm/slub.c:1",
            "BUG: sleeping function called from invalid context at mm/slab.h:1",
            "BUG: KFENCE: use-after-free read in dmacopy_read+0x1/0x2",
            "BUG kmalloc-64 (Tainted: G O): Right Redzone overwritten",
            "BUG skbuff_head_cache (Not tainted): Poison overwritten",
            "UBSAN: array-index-out-of-bounds in drivers/x.c:1:2",
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            // As on RISC-V, arch/riscv/kernel/traps.c, and on arm64, arch/arm64/kernel/traps.c.
            "Oops - illegal instruction [#1]",
            "Internal error: synchronous external abort: 0000000096000210 [#1] SMP",
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
            // kernel/hung_task.c
            "INFO: task kworker/0:1:12 blocked for more than 120 seconds.",
        ] {
            let judged = Judged::of(&[text], 0, &[]);
            assert_eq!(judged.complaints, [text]);
        }
        for text in ["kfence: initialized - using 2097152 bytes", "debug: on", ""] {
            assert_eq!(Judged::of(&[text], 0, &[]), Judged::default());
        }
    }

    #[test]
    fn what_a_test_provokes_does_not_fail_it_and_nothing_else_is_excused() {
        let panic = "Kernel panic - not syncing: sysrq triggered crash";
        let warning = "WARNING: CPU: 0 PID: 1 at mm/slub.c:1";
        let provokes = ["sysrq triggered crash".to_owned()];
        let taint = 1 << 9;
        let judged = Judged::of(&["sysrq: Trigger a crash", panic], taint, &provokes);
        assert!(judged.complaints.is_empty(), "{judged:?}");
        let notes: Vec<_> = judged.notes().collect();
        assert_eq!(notes, [("provoked".to_owned(), panic.to_owned())]);
        let judged = Judged::of(&[panic, warning], taint, &provokes);
        assert_eq!(judged.complaints, [warning]);
        assert_eq!(Judged::of(&[panic], 0, &[]).complaints, [panic]);
        // A taint that nobody has explained.
        assert_eq!(Judged::of(&["x"], taint, &provokes).complaints.len(), 1);
        assert_eq!(Judged::of(&["x"], 0, &provokes), Judged::default());
    }

    #[test]
    fn a_warning_taints_and_the_module_alone_does_not_count() {
        assert_eq!(unexpected_taint(EXPECTED_TAINT), None);
        assert_eq!(unexpected_taint(0), None);
        assert!(unexpected_taint(EXPECTED_TAINT | (1 << 9)).is_some());
    }
}
