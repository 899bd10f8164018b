// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a visit has left that was killed: all others put back what they change.

use super::finding::{Finding, State};
use super::system::System;
use crate::visit::{INSTANCES, LOCK, Left, Setting, TRACE, left};

const AREA: &str = "visit";

/// Where tracefs belongs.
const TRACING: &str = "/sys/kernel/tracing";

pub(super) fn look(system: &System) -> Vec<Finding> {
    let mut findings = match left(&system.path(LOCK)) {
        Left::UnderWay(process) => {
            let by = process.map_or("another process".into(), |id| format!("process {id}"));
            let why = format!("is under way, by {by}; what is below may be its doing");
            return vec![Finding::new(AREA, "tour or channel", State::Unknown, why)];
        }
        Left::Nothing => Vec::new(),
        Left::By(record) => {
            let one = |setting| changed(system, record.process, setting);
            record.settings.iter().filter_map(one).collect()
        }
    };
    let folder = format!("{TRACING}/{INSTANCES}");
    let mut instances = system.names(&folder);
    instances.retain(|name| name.starts_with(TRACE));
    findings.extend(instances.iter().map(|name| {
        let path = format!("{folder}/{name}");
        let why = "is of a visit that was killed";
        Finding::new(AREA, &path, State::Problem, why).mend(format!("rmdir {path}"))
    }));
    if findings.is_empty() {
        let why = "none has left anything";
        findings.push(Finding::new(AREA, "tour or channel", State::Ok, why));
    }
    findings
}

/// A setting that is not what it was before the visit.
fn changed(system: &System, process: u32, setting: &Setting) -> Option<Finding> {
    let Setting { path, text } = setting;
    let path = path.to_str().unwrap_or_default();
    let now = system.text(path)?;
    (now != *text).then(|| {
        let why = format!(
            "is {now:?}, was {text:?} before the visit of process {process}, which was killed"
        );
        Finding::new(AREA, path, State::Problem, why).mend(setting.command())
    })
}

#[cfg(test)]
mod tests {
    use super::super::system::system;
    use super::*;

    #[test]
    fn what_is_not_as_it_was_before_a_visit_that_was_killed_has_its_command() {
        let record = r#"{"process": 7, "settings": [
            {"path": "/sys/timeout_ms", "text": "1000"}, {"path": "/sys/stall", "text": "N"},
            {"path": "/sys/gone", "text": "1"}
        ]}"#;
        let files = [
            (LOCK, record),
            ("/sys/timeout_ms", "50\n"),
            ("/sys/stall", "N\n"),
            ("/sys/kernel/tracing/instances/other/x", ""),
            ("/sys/kernel/tracing/instances/bringup-tour-8/x", ""),
        ];
        let (_folder, with) = system(&files);
        let found = look(&with);
        let texts: Vec<_> = found
            .iter()
            .map(|one| anstream::adapter::strip_str(&one.text()).to_string())
            .collect();
        let expected = [
            "PROBLEM visit /sys/timeout_ms: is \"50\", was \"1000\" before the visit of process \
             7, which was killed\n        echo '1000' > /sys/timeout_ms\n",
            "PROBLEM visit /sys/kernel/tracing/instances/bringup-tour-8: is of a visit that was \
             killed\n        rmdir /sys/kernel/tracing/instances/bringup-tour-8\n",
        ];
        assert_eq!(texts, expected);
        let (_folder, without) = system(&[(LOCK, "")]);
        assert_eq!(look(&without)[0].state(), State::Ok);
    }
}
