// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel was built with, if it is written down anywhere.

use std::collections::BTreeMap;

use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::system::System;

/// Where a kernel with `CONFIG_IKCONFIG_PROC` tells it.
const IN_KERNEL: &str = "/proc/config.gz";

/// More than any configuration has, in bytes.
const LARGEST: usize = 4 << 20;

/// Flags of a member's header (RFC 1952, 2.3.1).
const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// The options of the running kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Where they are written down.
    pub(super) from: Option<String>,
    set: BTreeMap<String, String>,
}

impl Options {
    pub(super) fn read(system: &System) -> Self {
        if let Some(text) = system.bytes(IN_KERNEL).and_then(|bytes| gunzip(&bytes)) {
            return Self::parse(IN_KERNEL, &text);
        }
        let release = system.release().unwrap_or_default();
        let path = format!("/boot/config-{release}");
        match system.text(&path) {
            Some(text) => Self::parse(&path, &text),
            None => Self::default(),
        }
    }

    fn parse(from: &str, text: &str) -> Self {
        let options = text.lines().filter(|line| line.starts_with("CONFIG_"));
        let options = options.filter_map(|line| line.split_once('='));
        Self {
            from: Some(from.to_owned()),
            set: options
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// Those of some options that the kernel was built without; none if it cannot be told.
    pub(super) fn missing<'a>(&self, needed: &[&'a str]) -> Vec<&'a str> {
        if self.from.is_none() {
            return Vec::new();
        }
        let is_missing = |name: &&str| !self.set.contains_key(*name);
        needed.iter().copied().filter(is_missing).collect()
    }
}

/// Unpacks the first member of a gzip file (RFC 1952).
fn gunzip(file: &[u8]) -> Option<String> {
    let (header, mut rest) = file.split_at_checked(10)?;
    if !header.starts_with(b"\x1f\x8b\x08") {
        return None;
    }
    let flags = header[3];
    if flags & HAS_EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    let bytes = decompress_to_vec_with_limit(rest, LARGEST).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use miniz_oxide::deflate::compress_to_vec;

    use super::super::system::system;
    use super::*;

    const TEXT: &str = "# Linux/arm64\nCONFIG_NET=y\n# CONFIG_RUST is not set\nCONFIG_BPF_LSM=m\n";

    /// A member with these flags, and these fields behind its header.
    fn zipped(flags: u8, fields: &[u8]) -> Vec<u8> {
        let header = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        [&header[..], fields, &compress_to_vec(TEXT.as_bytes(), 6)].concat()
    }

    #[test]
    fn a_configuration_is_unpacked_whatever_its_header_has() {
        assert_eq!(gunzip(&zipped(0, b"")).as_deref(), Some(TEXT));
        let flags = HAS_EXTRA | HAS_NAME | HAS_COMMENT | HAS_CHECKSUM;
        let fields = b"\x03\x00abcname\0comment\0\x12\x34";
        assert_eq!(gunzip(&zipped(flags, fields)).as_deref(), Some(TEXT));
        assert_eq!(gunzip(TEXT.as_bytes()), None);
        for length in 0..30 {
            assert_eq!(gunzip(&zipped(flags, fields)[..length]), None, "{length}");
        }
    }

    #[test]
    fn the_kernels_own_word_counts_more_than_a_file_in_boot() {
        let files = [
            ("/proc/sys/kernel/osrelease", "7.3.4\n"),
            ("/boot/config-7.3.3", "CONFIG_RUST=y\n"),
        ];
        let (_folder, system) = system(&files);
        let options = Options::read(&system);
        assert_eq!(options, Options::default());
        assert_eq!(options.missing(&["CONFIG_NET"]), [""; 0]);

        fs::write(system.path("/boot/config-7.3.4"), "CONFIG_RUST=y\n").unwrap();
        let options = Options::read(&system);
        assert_eq!(options.from.as_deref(), Some("/boot/config-7.3.4"));
        assert_eq!(
            options.missing(&["CONFIG_NET", "CONFIG_RUST"]),
            ["CONFIG_NET"]
        );

        fs::write(system.path(IN_KERNEL), zipped(0, b"")).unwrap();
        let options = Options::read(&system);
        assert_eq!(options.from.as_deref(), Some(IN_KERNEL));
        let needed = ["CONFIG_NET", "CONFIG_RUST", "CONFIG_BPF_LSM"];
        assert_eq!(options.missing(&needed), ["CONFIG_RUST"]);
    }
}
