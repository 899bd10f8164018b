// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a shell on the board is told: find the agent of this very hash and become it, or take it.
//!
//! A file that did not come whole never gets its name. On many systems nothing can be executed from
//! `/run`, so the folder is one where a program has just been started. A folder that belongs to
//! somebody else is not used: what is in it would be run by this user.

/// How a line of the shell's begins that is meant for the PC.
pub(super) const MARK: &str = "bringup-login:";

/// What follows: the agent talks from the next byte on.
pub(super) const READY: &str = "ready";

/// What follows: send the agent's file and end the input.
pub(super) const WANTED: &str = "wanted";

/// What follows: it is there now.
pub(super) const STORED: &str = "stored";

/// The script for an agent with this hash and length in bytes. There is no single quote in it, so
/// that it goes through any login shell between two of them.
pub(super) fn script(hash: &str, length: u64) -> String {
    let script = format!(
        r##"umask 077
for d in /run/bringup /tmp/bringup /var/tmp/bringup; do
mkdir -p $d && [ -O $d ] && printf "%s\n" "#!/bin/sh" >$d/try.$$ && chmod 700 $d/try.$$ && $d/try.$$ && rm -f $d/try.$$ && break
rm -f $d/try.$$
d=
done 2>/dev/null
if [ -z "$d" ]; then echo "neither /run, /tmp nor /var/tmp takes a program and runs it" >&2; exit 71; fi
a=$d/agent-{hash}
if [ -x $a ]; then echo {MARK} {READY}; exec $a agent --stdio; fi
echo {MARK} {WANTED}
rm -f $d/agent-*
if cat >$a.$$ && [ $(wc -c <$a.$$) -eq {length} ] && chmod 700 $a.$$ && mv $a.$$ $a; then echo {MARK} {STORED}; exit 0; fi
rm -f $a.$$
echo "the agent did not arrive whole in $d" >&2
exit 72"##
    );
    format!("exec /bin/sh -c '{script}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_shell_hands_the_script_on() {
        let script = script("00ff", 7);
        let inside = script.strip_prefix("exec /bin/sh -c '").unwrap();
        assert!(!inside.strip_suffix('\'').unwrap().contains('\''));
    }
}
