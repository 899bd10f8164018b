// SPDX-License-Identifier: MIT OR Apache-2.0

//! What C and C++ compilers make of the header is what `layout.golden` says: each size and offset,
//! each constant and name, and the places in the rings.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmacopy_uapi::ring;

const GOLDEN: &str = include_str!("layout.golden");

/// Why a program cannot be had, or what it finds.
type Fault = Box<dyn std::error::Error>;

/// Standards, and what each calls an assertion when it compiles.
const STANDARDS: [(&str, &str, &str); 3] = [
    ("c", "c11", "_Static_assert"),
    ("c", "c17", "_Static_assert"),
    ("c++", "c++17", "static_assert"),
];

/// What a line of the golden listing says.
#[derive(Debug)]
enum Line<'a> {
    Number {
        name: String,
        value: &'a str,
    },
    Text {
        name: String,
        value: &'a str,
    },
    Structure {
        name: String,
        size: &'a str,
        align: &'a str,
    },
    Field {
        offset: &'a str,
        size: &'a str,
        name: &'a str,
    },
}

/// C's name for a constant of the ABI: modules become a prefix. Of `ioctl`, that is only so for the
/// request codes, which carry a size.
fn constant(path: &str, value: &str) -> String {
    let is_request = path.starts_with("ioctl::") && value.len() == 10 && &value[6..8] == "dc";
    let path = match path.strip_prefix("ioctl::") {
        Some(name) if !is_request => name,
        _ => path,
    };
    let path = path.replace("names::", "name::").replace("::", "_");
    format!("DMACOPY_{}", path.to_uppercase())
}

/// C's name for a structure: `dmacopy_two_words` for `TwoWords`.
fn structure_name(name: &str) -> String {
    let mut c_name = String::from("dmacopy");
    for letter in name.chars() {
        if letter.is_uppercase() {
            c_name.push('_');
        }
        c_name.extend(letter.to_lowercase());
    }
    c_name
}

fn line_of(text: &str) -> Result<Option<Line<'_>>, Fault> {
    let odd = || format!("not understood: {text:?}");
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    if let Some(rest) = text.strip_prefix("struct ") {
        let (path, rest) = rest.split_once(": size ").ok_or_else(odd)?;
        let (size, align) = rest.split_once(", align ").ok_or_else(odd)?;
        let name = structure_name(path.rsplit("::").next().unwrap_or(path));
        return Ok(Some(Line::Structure { name, size, align }));
    }
    if let Some(rest) = text.strip_prefix("const ") {
        let (path, value) = rest.split_once(": ").ok_or_else(odd)?;
        let name = constant(path, value);
        return Ok(match value.chars().next() {
            Some('"') => Some(Line::Text { name, value }),
            // Lists are for programs in Rust.
            Some('[') => None,
            _ => Some(Line::Number { name, value }),
        });
    }
    let words: Vec<_> = text.split_whitespace().collect();
    let [offset, size, name] = words[..] else {
        return Err(odd().into());
    };
    Ok(Some(Line::Field { offset, size, name }))
}

/// A program that does not compile, or fails, when the header says anything else.
fn program(golden: &str, assert: &str) -> Result<String, Fault> {
    let mut text = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <string.h>\n#include <dmacopy.h>\n",
    );
    let mut texts = Vec::new();
    let mut structure = String::new();
    let mut claim = |condition: String| writeln!(text, "{assert}({condition}, \"differs\");");
    for line in golden.lines() {
        let Some(line) = line_of(line)? else {
            continue;
        };
        match line {
            Line::Number { name, value } => claim(format!("{name} == {value}"))?,
            Line::Text { name, value } => texts.push((name, value)),
            Line::Structure { name, size, align } => {
                structure = format!("struct {name}");
                claim(format!("sizeof({structure}) == {size}"))?;
                let alignof = if assert.starts_with('_') {
                    "_Alignof"
                } else {
                    "alignof"
                };
                claim(format!("{alignof}({structure}) == {align}"))?;
            }
            Line::Field { offset, size, name } => {
                claim(format!("offsetof({structure}, {name}) == {offset}"))?;
                claim(format!("sizeof((({structure} *)0)->{name}) == {size}"))?;
            }
        }
    }
    text.push_str("static char rings[1 << 20];\nint main(void)\n{\n");
    for (name, value) in texts {
        writeln!(
            text,
            "\tif (strcmp({name}, {value}) != 0)\n\t\treturn !!puts(\"{name}\");"
        )?;
    }
    text.push_str("\tvoid *at = rings;\n");
    for entries in [2_u32, 64, 4096] {
        let mut place = |function: &str, index: u32, expected: usize| {
            let found = format!("(char *)dmacopy_ring_{function}(at, {entries}, {index}u) - rings");
            writeln!(
                text,
                "\tif ({found} != {expected})\n\t\treturn !!puts(\"{function}\");"
            )
        };
        for index in [0, 1, entries - 1, entries, u32::MAX] {
            place("descriptor", index, ring::descriptor_offset(index, entries))?;
            place("completion", index, ring::completion_offset(index, entries))?;
        }
        let bytes = ring::bytes(entries);
        writeln!(
            text,
            "\tif (dmacopy_ring_bytes({entries}) != {bytes})\n\t\treturn 1;"
        )?;
    }
    text.push_str(
        "\tdmacopy_ring_store(at, DMACOPY_RING_INDEX_COMPLETION_TAIL, 7);\n\
         \tif (dmacopy_ring_load(at, DMACOPY_RING_INDEX_COMPLETION_TAIL) != 7 || rings[192] == 0)\n\
         \t\treturn 1;\n\treturn 0;\n}\n",
    );
    Ok(text)
}

/// Compiles a program with this header, strictly, and runs it; what is wrong is returned.
fn run(
    folder: &Path,
    header: &Path,
    (language, standard, assert): (&str, &str, &str),
    golden: &str,
) -> Result<(), Fault> {
    let source = folder.join("program.c");
    let binary = folder.join("program");
    std::fs::write(&source, program(golden, assert)?)?;
    let compiler = if language == "c" { "cc" } else { "c++" };
    let output = Command::new(compiler)
        .args(["-x", language, &format!("-std={standard}"), "-O1"])
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .args([header, Path::new("-o"), &binary, &source])
        .output()
        .map_err(|error| format!("{compiler} is missing: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let output = Command::new(&binary).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("differs: {}", String::from_utf8_lossy(&output.stdout)).into()),
    }
}

fn folder(name: &str) -> Result<PathBuf, Fault> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[test]
fn c_and_cpp_read_the_header_as_the_golden_listing_says() {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let has_cpp = Command::new("c++").arg("--version").output().is_ok();
    for standard in STANDARDS {
        if standard.0 == "c++" && !has_cpp {
            let mut said = std::io::stderr();
            std::io::Write::write_all(&mut said, b"not read as C++: this PC has no c++\n").unwrap();
            continue;
        }
        let read = run(&folder(standard.1).unwrap(), &header, standard, GOLDEN);
        read.unwrap_or_else(|what| panic!("as {}: {what}", standard.1));
    }
}

#[test]
fn each_change_of_the_header_is_found() {
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/dmacopy.h");
    let original = std::fs::read_to_string(original).unwrap();
    let folder = folder("changed").unwrap();
    for (from, to) in [
        ("\t__u32 wait;", "\t__u64 wait;"),
        ("\t__u32 count;\n", ""),
        ("_IOWR(DMACOPY_MAGIC, 1,", "_IOWR(DMACOPY_MAGIC, 2,"),
        ("_IOWR(DMACOPY_MAGIC, 1,", "_IOW(DMACOPY_MAGIC, 1,"),
        ("\"abi_version\"", "\"abi-version\""),
        ("ATTRIBUTE_SEQUENCE 14", "ATTRIBUTE_SEQUENCE 15"),
        ("(index & (entries - 1))", "(index & entries)"),
    ] {
        let changed = original.replacen(from, to, 1);
        assert_ne!(changed, original, "{from}");
        std::fs::write(folder.join("dmacopy.h"), changed).unwrap();
        assert!(
            run(&folder, &folder, STANDARDS[0], GOLDEN).is_err(),
            "{from}"
        );
    }
}
