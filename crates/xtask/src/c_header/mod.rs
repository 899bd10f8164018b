// SPDX-License-Identifier: MIT OR Apache-2.0

//! The ABI as a header for C, made from the same sources that the driver and Rust programs compile.
//!
//! What a C program needs of them is written out: structures, constants, request codes, names. What
//! it needs of their functions, which is the arithmetic of the rings, is in `ring.h` and copied.
//! cbindgen cannot do it: it leaves out what a function computes, as all request codes are, and
//! texts, as all names are (its issue 948, its pull request 589).

mod comment;
mod expression;
mod item;

use std::fmt::Write as _;

use crate::Tree;
use item::{Item, Items, Kind};

/// Where the header is.
pub const PATH: &str = "crates/dmacopy-uapi/include/dmacopy.h";

/// Where the sources are.
const SOURCES: &str = "crates/dmacopy-uapi/src/abi/";

/// What stands before everything else.
const HEAD: &str = "\
/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * The ABI of dmacopy, a driver of DMA copy engines: /dev/dmacopyN.
 *
 * Written by `cargo xtask header` from crates/dmacopy-uapi/src/abi. Do not edit.
 */
#ifndef DMACOPY_H
#define DMACOPY_H

#include <linux/ioctl.h>
#include <linux/types.h>
";

/// The functions for rings.
const RING: &str = include_str!("ring.h");

/// Makes the header; fails with what C cannot say.
pub fn generate(tree: &Tree) -> Result<String, String> {
    let mut items = Items::default();
    for file in tree.directly_in(SOURCES) {
        let module = Some(file.stem()).filter(|stem| *stem != "mod");
        let parsed = syn::parse_file(&file.text).map_err(|error| format!("{}: {error}", file.path));
        items.read(module, &parsed?)?;
    }
    let mut text = HEAD.to_owned();
    let mut module = None;
    // Structures go first: request codes tell their size.
    let (structures, constants): (Vec<_>, Vec<_>) = items
        .all()
        .iter()
        .partition(|item| matches!(item.kind, Kind::Structure(_)));
    for item in structures {
        text.push('\n');
        write_item(&mut text, item, &items)?;
    }
    for item in constants {
        if module.replace(&item.module) != Some(&item.module) {
            text.push('\n');
            if let Some(about) = items.about(&item.module) {
                // It is said outside of the module.
                let outside = item
                    .module
                    .split_last()
                    .map(|(_, outside)| outside.to_vec());
                comment::write(&mut text, about, "", &items, &outside.unwrap_or_default());
                text.push('\n');
            }
        }
        write_item(&mut text, item, &items)?;
    }
    let (_, functions) = RING.split_once("*/\n").unwrap_or_default();
    text.push_str(functions);
    text.push_str("\n#endif\n");
    Ok(text)
}

fn write_item(text: &mut String, item: &Item, items: &Items) -> Result<(), String> {
    comment::write(text, &item.about, "", items, &item.module);
    let name = item.c_name();
    // Writing to a string cannot fail.
    match &item.kind {
        Kind::Structure(fields) => {
            let _ = writeln!(text, "struct {name} {{");
            for field in fields {
                comment::write(text, &field.about, "\t", items, &item.module);
                let _ = writeln!(text, "\t{}", field.declaration()?);
            }
            text.push_str("};\n");
        }
        Kind::Constant(value) => {
            let value = expression::in_c(value, items, &item.module);
            let value = value.map_err(|what| format!("{}: {what}", item.path()))?;
            let _ = writeln!(text, "#define {name} {value}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "pub mod ioctl;\npub const ABI_VERSION: u32 = 2;\n";
    const IOCTL: &str = "
        /// The \"type\" byte.
        pub const MAGIC: u8 = 0xdc;
        const READ: u32 = 2;
        const WRITE: u32 = 1;
        /// Fills in an [`Info`]; see [`super::ABI_VERSION`].
        pub const INFO: u32 = request::<Info>(READ, 0);
        pub const COPY: u32 = request::<Info>(READ | WRITE, 1);
        pub const CAP_BIG: u64 = 1 << 40;
        /// What it is.
        #[repr(C)]
        pub struct Info {
            /// Which version.
            pub abi_version: u32,
            pub more: [u64; 3],
        }
        pub const fn size(request: u32) -> usize { 0 }
    ";
    const NAMES: &str = "
        pub const DRIVER: &str = \"dmacopy\";
        /// Attributes, as [`attribute::STATE`]; see [`super::ioctl`].
        pub mod attribute {
            /// [`super::DRIVER`]: in [words].
            ///
            /// [words]: super::attribute
            pub const STATE: &str = \"state\";
            pub const SYSTEM: &str = super::DRIVER;
            pub const ALL: [&str; 1] = [STATE];
        }
    ";

    fn header(ioctl: &str) -> Result<String, String> {
        let path = |name: &str| format!("{SOURCES}{name}.rs");
        let (root, requests, names) = (path("mod"), path("ioctl"), path("names"));
        generate(&Tree::from([
            (root.as_str(), ROOT),
            (requests.as_str(), ioctl),
            (names.as_str(), NAMES),
        ]))
    }

    #[test]
    fn everything_public_is_said_in_c() {
        let header = header(IOCTL).unwrap();
        for line in [
            "#define DMACOPY_ABI_VERSION 2",
            "#define DMACOPY_MAGIC 0xdc",
            "#define DMACOPY_IOCTL_INFO _IOR(DMACOPY_MAGIC, 0, struct dmacopy_info)",
            "#define DMACOPY_IOCTL_COPY _IOWR(DMACOPY_MAGIC, 1, struct dmacopy_info)",
            "#define DMACOPY_CAP_BIG (1ULL << 40)",
            "struct dmacopy_info {",
            "\t__u32 abi_version;",
            "\t__u64 more[3];",
            "#define DMACOPY_NAME_DRIVER \"dmacopy\"",
            "#define DMACOPY_NAME_ATTRIBUTE_STATE \"state\"",
            "#define DMACOPY_NAME_ATTRIBUTE_SYSTEM DMACOPY_NAME_DRIVER",
            "/* Fills in an dmacopy_info; see DMACOPY_ABI_VERSION. */",
            "\t/* Which version. */",
            "/* Attributes, as DMACOPY_NAME_ATTRIBUTE_STATE; see DMACOPY_IOCTL_*. */",
            "/* DMACOPY_NAME_DRIVER: in DMACOPY_NAME_ATTRIBUTE_*. */",
        ] {
            assert!(header.lines().any(|one| one == line), "{line}\n{header}");
        }
        assert!(!header.contains("READ"), "{header}");
        let place = |what: &str| header.find(what).unwrap();
        assert!(place("struct dmacopy_info {") < place("DMACOPY_IOCTL_INFO"));
    }

    #[test]
    fn what_c_cannot_say_is_refused_by_its_name() {
        let refused = |more: &str| header(&format!("{IOCTL}{more}")).unwrap_err();
        let what = refused("pub const ODD: u32 = other(1);");
        assert!(what.starts_with("ioctl::ODD: "), "{what}");
        let what = refused("#[repr(C)] pub struct Odd { pub x: bool }");
        assert!(what.contains("`bool`"), "{what}");
        let what = refused("pub const ODD: u32 = NOWHERE;");
        assert!(what.contains("NOWHERE"), "{what}");
        let what = refused("pub mod sub { #[repr(C)] pub struct Info { pub x: u8 } }");
        assert!(what.contains("dmacopy_info"), "{what}");
    }
}
