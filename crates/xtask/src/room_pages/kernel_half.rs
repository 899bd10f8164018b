// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which files of the driver are the other side of a room, and which names of the ABI belong to it.

use super::Lack;
use crate::Tree;

/// A room, the files of its kernel half in `kmod/`, and how the entries in `kmod/ABI/` begin that
/// are about it.
type Half = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const HALVES: [Half; 17] = [
    (
        "syscall",
        &["chardev.rs", "stream.rs", "ioctl.rs"],
        &["/dev/dmacopyN"],
    ),
    ("chardev", &["chardev.rs", "stream.rs"], &["/dev/dmacopyN"]),
    ("ioctl", &["ioctl.rs"], &["/dev/dmacopyN ioctl "]),
    (
        "mmap",
        &["mmap.rs", "buffers.rs"],
        &[
            "/dev/dmacopyN ioctl INFO",
            "/dev/dmacopyN ioctl SYNC",
            "/dev/dmacopyN ioctl EXPORT_BUFFER",
            "/dev/dmacopyN ioctl IMPORT_BUFFER",
        ],
    ),
    (
        "futex",
        &["ring.rs", "mmap.rs"],
        &["/dev/dmacopyN ioctl SUBMIT"],
    ),
    (
        "signal",
        &["notify.rs", "sys/fasync.rs"],
        &["/dev/dmacopyN"],
    ),
    (
        "eventfd",
        &["notify.rs", "sys/eventfd.rs"],
        &[
            "/dev/dmacopyN ioctl EVENTFD",
            "/dev/dmacopyN ioctl COALESCE",
            "/sys/class/misc/dmacopyN/coalesce_",
        ],
    ),
    (
        "sysfs",
        &["sysfs.rs", "limits.rs", "sys/attribute.rs"],
        &["/sys/class/misc/"],
    ),
    ("uevent", &["uevent.rs", "sys/kobject.rs"], &["DMACOPY_"]),
    ("netlink", &["netlink.rs", "sys/netlink.rs"], &["netlink "]),
    (
        "upcall",
        &["upcall.rs", "sys/upcall.rs"],
        &[
            "dmacopy upcall",
            "/sys/class/misc/dmacopyN/upcall/",
            "DMACOPY_",
        ],
    ),
    (
        "procfs",
        &["procfs.rs", "sys/procfs.rs"],
        &["/proc/driver/dmacopy"],
    ),
    (
        "tracepoint",
        &["trace.rs", "sys/tracepoint.rs"],
        &["/sys/kernel/tracing/"],
    ),
    ("bpf", &["bpf.rs", "sys/kfunc.rs"], &["kfunc "]),
    ("seccomp", &["ioctl.rs"], &["/dev/dmacopyN ioctl "]),
    (
        "watch",
        &["chardev.rs", "sysfs.rs"],
        &[
            "/dev/dmacopyN",
            "/sys/class/misc/dmacopyN/state",
            "/sys/class/misc/dmacopyN/timeout_ms",
        ],
    ),
    (
        "debugfs",
        &["debugfs.rs", "sys/debugfs.rs"],
        &["/sys/kernel/debug/"],
    ),
];

const DRIVER: &str = "kmod/";
const PAGES: &str = "kmod/ABI/";

/// A room's kernel half.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KernelHalf {
    /// Its files, and what they are.
    pub(super) files: Vec<(String, String)>,
    /// The names, and the page that has the entry.
    pub(super) names: Vec<(String, String)>,
}

impl KernelHalf {
    pub(super) fn of(tree: &Tree, room: &str) -> Result<Self, Vec<Lack>> {
        let here = "crates/xtask/src/room_pages/kernel_half.rs";
        let Some((_, files, prefixes)) = HALVES.iter().find(|(one, ..)| *one == room) else {
            let what = format!("nothing says what the kernel half of the room `{room}` is");
            return Err(vec![Lack::new(here, what)]);
        };
        let mut lacks = Vec::new();
        let mut half = Self::default();
        for file in *files {
            let path = format!("{DRIVER}{file}");
            match tree.get(&path).map(|file| first_sentence(&file.text)) {
                Some(what) if !what.is_empty() => half.files.push((path, what)),
                Some(_) => lacks.push(Lack::new(&path, "does not say what it is")),
                None => lacks.push(Lack::new(here, format!("there is no {path}"))),
            }
        }
        for prefix in *prefixes {
            let before = half.names.len();
            for page in tree.below(PAGES) {
                let subjects = page
                    .text
                    .lines()
                    .filter_map(|line| line.strip_prefix("What:"));
                let ours = subjects
                    .map(str::trim)
                    .filter(|subject| matches(subject, prefix));
                half.names
                    .extend(ours.map(|one| (one.to_owned(), page.path.clone())));
            }
            if half.names.len() == before {
                let what = format!("no entry in {PAGES} begins with `{prefix}`");
                lacks.push(Lack::new(here, what));
            }
        }
        half.names.dedup();
        if lacks.is_empty() {
            Ok(half)
        } else {
            Err(lacks)
        }
    }
}

/// Whether a subject is meant: a node as a whole is, if it is said in full.
fn matches(subject: &str, prefix: &str) -> bool {
    subject == prefix || (subject.starts_with(prefix) && !prefix.ends_with('N'))
}

/// The first sentence of a file's documentation.
fn first_sentence(text: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with("//!"));
    let lines = lines.map_while(|line| line.strip_prefix("//! "));
    let paragraph = lines.collect::<Vec<_>>().join(" ");
    match paragraph.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => paragraph,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABI: &str = "What:\t\t/proc/driver/dmacopy\nDescription:\n";

    fn half(files: [(&str, &str); 3]) -> Result<KernelHalf, Vec<Lack>> {
        KernelHalf::of(&Tree::from(files), "procfs")
    }

    #[test]
    fn the_files_are_told_with_what_they_are_and_the_names_with_their_page() {
        let doc = "// SPDX\n\n//! The summary\n//! for people. More.\n";
        let files = [("kmod/procfs.rs", doc), ("kmod/sys/procfs.rs", doc)];
        let complete = [files[0], files[1], ("kmod/ABI/procfs", ABI)];
        let found = half(complete).unwrap();
        let what = "The summary for people.".to_owned();
        assert_eq!(found.files[0], ("kmod/procfs.rs".to_owned(), what));
        let name = "/proc/driver/dmacopy".to_owned();
        assert_eq!(found.names, [(name, "kmod/ABI/procfs".to_owned())]);

        let lacks = |index: usize, file| {
            let mut files = complete;
            files[index] = file;
            half(files).unwrap_err().len()
        };
        assert_eq!(lacks(0, ("kmod/other.rs", doc)), 1);
        assert_eq!(lacks(0, ("kmod/procfs.rs", "// SPDX\n")), 1);
        assert_eq!(lacks(2, ("kmod/ABI/procfs", "")), 1);
        let unknown = KernelHalf::of(&Tree::from(complete), "cellar").unwrap_err();
        assert_eq!(unknown.len(), 1);
    }

    #[test]
    fn a_node_is_meant_alone_unless_more_is_said() {
        assert!(matches("/dev/dmacopyN", "/dev/dmacopyN"));
        assert!(!matches("/dev/dmacopyN ioctl INFO", "/dev/dmacopyN"));
        assert!(matches(
            "/dev/dmacopyN ioctl INFO, 64",
            "/dev/dmacopyN ioctl "
        ));
    }
}
