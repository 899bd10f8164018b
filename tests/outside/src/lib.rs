// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a Linux board says it is.

use std::{fs, io};

/// The names of a board, the most special first: `compatible` of the device tree's root node.
///
/// # Errors
///
/// When there is no device tree.
pub fn compatible() -> io::Result<Vec<String>> {
    fs::read("/proc/device-tree/compatible").map(|bytes| texts(&bytes))
}

/// A property's texts, each of which ends with a zero.
fn texts(property: &[u8]) -> Vec<String> {
    let texts = property.split(|byte| *byte == 0);
    let texts = texts.filter(|text| !text.is_empty());
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_a_list_of_texts() {
        assert_eq!(
            texts(b"vendor,board\0vendor,chip\0"),
            ["vendor,board", "vendor,chip"]
        );
        assert!(texts(b"").is_empty());
    }
}
