// SPDX-License-Identifier: MIT OR Apache-2.0

//! No file knows the machine or the network that it was written on.

use super::Fault;
use crate::{File, Tree};

/// The folders that only a developer's machine has something in.
const FOLDERS: [&str; 3] = ["home", "root", "work"];

/// What the hosts of package registries have in their names.
const REGISTRIES: [&str; 4] = ["debian.", "crates.io", "pythonhosted", "npmjs"];

/// Hosts with documentation, although their names look like a registry's.
const DOCUMENTATION: [&str; 4] = [
    "bugs.debian.org",
    "manpages.debian.org",
    "wiki.debian.org",
    "www.debian.org",
];

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.files() {
        paths(file, &mut faults);
        hosts(file, &mut faults);
        for (offset, _) in file.text.match_indices(&format!("PRIVATE {}", "KEY-----")) {
            faults.push(Fault::at(file, offset, "this is a private key"));
        }
    }
    faults
}

/// Finds paths of the form `/folder/name`.
fn paths(file: &File, faults: &mut Vec<Fault>) {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    for folder in FOLDERS {
        let start = format!("/{folder}/");
        for (offset, _) in file.text.match_indices(&start) {
            // Behind a name or a variable it is a folder within another one.
            let before = &file.text[..offset];
            let rest = &file.text[offset + start.len()..];
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            // The folders of users hold more folders; anything else may just be a text.
            let deeper = folder != "home" || rest[end..].starts_with('/');
            if !before.ends_with(|c| is_name(c) || matches!(c, '}' | ')' | '/'))
                && end > 0
                && deeper
            {
                let what = format!("`{start}{}` is a path of one machine", &rest[..end]);
                faults.push(Fault::at(file, offset, what));
            }
        }
    }
}

/// Finds addresses of registries, and any with a user's name.
fn hosts(file: &File, faults: &mut Vec<Fault>) {
    for scheme in ["http://", "https://"] {
        for (offset, _) in file.text.match_indices(scheme) {
            let rest = &file.text[offset + scheme.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && !".-_:@%".contains(c));
            let authority = &rest[..end.unwrap_or(rest.len())];
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            let registry = REGISTRIES.iter().any(|name| host.contains(name));
            if registry && !DOCUMENTATION.contains(&host) {
                let what = format!("`{host}` is a registry: take what the host's own tools use");
                faults.push(Fault::at(file, offset, what));
            }
            if !user.is_empty() && !host.is_empty() {
                let what = format!("the address of `{host}` tells a user's name");
                faults.push(Fault::at(file, offset, what));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::places;
    use super::*;

    fn found(text: &str) -> usize {
        let faults = check(&Tree::from([("a.md", text)]));
        assert!(places(&faults).iter().all(|place| place == "a.md:2"));
        faults.len()
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for folder in FOLDERS {
            for (before, after) in [("", ""), ("\"", "\""), ("--sysroot=", ""), ("file:", ";")] {
                let text = format!("\n{before}/{folder}/me/project{after}\n");
                assert_eq!(found(&text), 1, "{text}");
            }
        }
    }

    #[test]
    fn other_paths_pass() {
        for folder in FOLDERS {
            for text in [
                format!("\n/var/{folder}/me/a\n"),
                format!("\n{{top}}/{folder}/me/a\n"),
                format!("\n/{folder}/\n"),
                format!("\n/{folder}work/a/b\n"),
            ] {
                assert_eq!(found(&text), 0, "{text}");
            }
        }
        assert_eq!(found(&format!("\n/{}/a debugfs\n", "home")), 0);
    }

    #[test]
    fn registries_users_and_keys_are_found() {
        for host in ["deb.debian.org", "static.crates.io", "registry.npmjs.org"] {
            assert_eq!(found(&format!("\nget https://{host}/a\n")), 1, "{host}");
        }
        let host = "files.pythonhosted.org:80";
        assert_eq!(found(&format!("\n<http://me:word@{host}>\n")), 2);
        let dashes = "-".repeat(5);
        let key = format!("\n{dashes}BEGIN OPENSSH PRIVATE KEY{dashes}\n");
        assert_eq!(found(&key), 1);
    }

    #[test]
    fn other_hosts_pass() {
        for host in ["docs.kernel.org", "docs.rs/crates.io", "wiki.debian.org/a"] {
            assert_eq!(found(&format!("\nhttps://{host}\n")), 0, "{host}");
        }
        let index = "registry+https://github.com/rust-lang/crates.io-index";
        assert_eq!(
            found(&format!("\n{index}\nhttp://mirror.example/debian/\n")),
            0
        );
    }
}
