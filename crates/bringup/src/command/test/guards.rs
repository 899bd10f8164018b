// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether what finds memory errors was on while the tests ran on a board, and has found none.
//!
//! What the kernel complains about fails the test in which it does. But one that was booted without
//! its checks complains about nothing, and an error may be noticed when no test is running.
//!
//! # References
//!
//! - <https://docs.kernel.org/mm/slab.html>, `slab_debug`
//! - <https://docs.kernel.org/dev-tools/kfence.html>
//! - <https://docs.kernel.org/admin-guide/tainted-kernels.html>

use hil::{Agent, health};

/// What the test is called in the reports.
pub(super) const NAME: &str = "all checks of memory are on, and have found nothing";
/// And its suite.
pub(super) const SUITE: &str = "kernel";

/// Files that hold one value. The marks are those of `slab_debug=FZPU`, which all caches have.
const VALUES: [(&str, &str); 5] = [
    ("/sys/kernel/slab/kmalloc-64/sanity_checks", "1"),
    ("/sys/kernel/slab/kmalloc-64/red_zone", "1"),
    ("/sys/kernel/slab/kmalloc-64/poison", "1"),
    ("/sys/kernel/slab/kmalloc-64/store_user", "1"),
    ("/sys/module/kfence/parameters/sample_interval", "1"),
];

/// What the kernel is tainted with, a decimal number.
const TAINTED: &str = "/proc/sys/kernel/tainted";

/// What KFENCE has done, one `name: number` per line.
const KFENCE: &str = "/sys/kernel/debug/kfence/stats";

/// What is wrong on a board, if anything.
pub(super) fn faults(agent: &Agent) -> Vec<String> {
    judge(|path| {
        let content = agent.read(path).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    })
}

fn judge(read: impl Fn(&str) -> Result<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, expected) in VALUES {
        match read(path) {
            Ok(content) if content.trim() == expected => {}
            Ok(content) => faults.push(format!("{path} is {}, not {expected}", content.trim())),
            Err(error) => faults.push(format!("{path} cannot be read: {error}")),
        }
    }
    match read(TAINTED).map(|content| content.trim().parse()) {
        Ok(Ok(taint)) => faults.extend(health::unexpected_taint(taint)),
        Ok(Err(error)) => faults.push(format!("{TAINTED} holds no number: {error}")),
        Err(error) => faults.push(format!("{TAINTED} cannot be read: {error}")),
    }
    match read(KFENCE) {
        Ok(stats) => faults.extend(of_kfence(&stats)),
        Err(error) => faults.push(format!("{KFENCE} cannot be read: {error}")),
    }
    faults
}

fn of_kfence(stats: &str) -> Vec<String> {
    let number = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix(": ")?.trim().parse::<u64>().ok())
    };
    let mut faults = Vec::new();
    if number("enabled") != Some(1) {
        faults.push("KFENCE is not enabled".to_owned());
    }
    if number("total allocations").is_none_or(|allocations| allocations == 0) {
        faults.push("KFENCE has guarded no allocation".to_owned());
    }
    match number("total bugs") {
        Some(0) => {}
        Some(bugs) => faults.push(format!("KFENCE has found {bugs} errors")),
        None => faults.push("KFENCE does not tell what it has found".to_owned()),
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &str = "enabled: 1\ncurrently allocated: 17\ntotal allocations: 807\n\
                         total frees: 790\nzombie allocations: 0\ntotal bugs: 0\n";

    /// What is found on a board where some file has another content, or is missing.
    fn found(other: &str, content: Option<&str>) -> Vec<String> {
        judge(|path| {
            if path == other {
                return content.map(str::to_owned).ok_or("no such file".to_owned());
            }
            if path == TAINTED {
                return Ok("12288\n".to_owned());
            }
            let value = VALUES.iter().find(|(known, _)| *known == path);
            Ok(value.map_or(STATS.to_owned(), |(_, value)| format!("{value}\n")))
        })
    }

    #[test]
    fn a_board_with_all_checks_and_no_error_is_well() {
        assert_eq!(found("", None), [""; 0]);
    }

    #[test]
    fn each_check_that_is_off_or_missing_is_found() {
        for (path, _) in VALUES {
            for content in [Some("0\n"), Some("2\n"), Some(""), None] {
                let faults = found(path, content);
                assert_eq!(faults.len(), 1, "{path} {content:?}: {faults:?}");
                assert!(faults[0].starts_with(path), "{faults:?}");
            }
        }
        assert_eq!(found(KFENCE, None).len(), 1);
    }

    #[test]
    fn a_taint_by_more_than_the_module_and_a_guard_of_files_is_found() {
        for content in [Some("12800\n"), Some("x\n"), Some(""), None] {
            let faults = found(TAINTED, content);
            assert_eq!(faults.len(), 1, "{content:?}: {faults:?}");
        }
        assert_eq!(found(TAINTED, Some("77824\n")), [""; 0]);
    }

    #[test]
    fn what_kfence_has_found_and_that_it_does_nothing_is_found() {
        let faults = |from: &str, to: &str| found(KFENCE, Some(&STATS.replace(from, to)));
        let one = faults("bugs: 0", "bugs: 1");
        assert_eq!(one, ["KFENCE has found 1 errors"]);
        assert_eq!(
            faults("enabled: 1", "enabled: 0"),
            ["KFENCE is not enabled"]
        );
        assert_eq!(
            faults("total allocations: 807", "total allocations: 0").len(),
            1
        );
        assert_eq!(faults("total bugs: 0", "").len(), 1);
        assert_eq!(found(KFENCE, Some("")).len(), 3);
    }
}
