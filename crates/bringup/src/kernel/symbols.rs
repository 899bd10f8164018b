// SPDX-License-Identifier: MIT OR Apache-2.0

//! Proves that recreated Rust metadata is the stock kernel's.
//!
//! The name of a Rust symbol carries a hash over the compiler's version and the crate, and the
//! list of symbols follows from source and configuration. If every symbol that the recreated
//! crates export is exported by the stock kernel under the same name, and none is left over
//! there, a module that is compiled against the metadata links to that kernel. Names do not tell
//! how structures are laid out: that follows from the source, which is of the same version by its
//! package, and from the configuration, which is compared too.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::Kernel;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};

/// The crates of the kernel that export symbols.
const CRATES: [&str; 4] = ["core", "kernel", "helpers", "bindings"];

/// How the kernel's build writes an exported Rust symbol.
const EXPORT: &str = "EXPORT_SYMBOL_RUST_GPL(";

/// How the names of symbols begin that only Rust code exports.
const RUST: [&str; 2] = ["_R", "rust_helper_"];

/// Options that depend on the compilers that are there, and on which no module's code depends.
const MAY_DIFFER: [&str; 4] = [
    "CONFIG_CC_VERSION_TEXT",
    "CONFIG_COMPAT_VDSO",
    "CONFIG_PAHOLE_VERSION",
    "CONFIG_THUMB2_COMPAT_VDSO",
];

/// How many wrong symbols a failure names.
const SHOWN: usize = 5;

/// How many symbols were compared, crate by crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Name of the crate and number of its symbols.
    pub(crate) crates: Vec<(String, usize)>,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.crates.iter().map(|(_, count)| count).sum();
        let parts = self
            .crates
            .iter()
            .map(|(name, count)| format!("{name} {count}"));
        let parts = parts.collect::<Vec<_>>().join(", ");
        write!(f, "all {total} exported Rust symbols match ({parts})")
    }
}

/// Compares the metadata in the kernel's build folder with its stock symbols.
pub(crate) fn prove(kernel: &Kernel) -> Result<Proof> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).or_environment(|| format!("cannot read {}", path.display()))
    };
    let headers = super::headers_folder(kernel.release());
    let stock = kernel
        .folder()
        .join("package")
        .join(headers)
        .join("Module.symvers");
    let stock = read(&stock)?;
    let mut exports = Vec::new();
    for name in CRATES {
        let file = format!("build/rust/exports_{name}_generated.h");
        exports.push((name, read(&kernel.folder().join(file))?));
    }
    let package = kernel.folder().join("package");
    let stock_config = package
        .join(super::headers_folder(kernel.release()))
        .join(".config");
    let config = read(&kernel.folder().join("build/.config"))?;
    let compared = compare(&stock, &exports)
        .and_then(|proof| same_configuration(&read(&stock_config)?, &config).map(|()| proof));
    compared.map_err(|failure| {
        failure.help(format!(
            "nothing is built against it; remove {} to try once more",
            kernel.folder().display()
        ))
    })
}

fn compare(stock: &str, exports: &[(&str, String)]) -> Result<Proof> {
    let known: BTreeSet<&str> = stock
        .lines()
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    let mut crates = Vec::new();
    let mut missing = Vec::new();
    for (name, text) in exports {
        let symbols: Vec<&str> = text.lines().filter_map(exported).collect();
        if symbols.is_empty() {
            return Err(Failure::new(
                Exit::Environment,
                format!("the recreated metadata exports no symbol of crate {name}"),
            ));
        }
        let strangers = symbols.iter().filter(|symbol| !known.contains(**symbol));
        missing.extend(strangers.map(|symbol| (*symbol).to_owned()));
        crates.push(((*name).to_owned(), symbols.len()));
    }
    let ours: BTreeSet<&str> = exports
        .iter()
        .flat_map(|(_, text)| text.lines().filter_map(exported))
        .collect();
    let is_rust = |symbol: &&str| RUST.iter().any(|prefix| symbol.starts_with(prefix));
    let left_over = known.iter().copied().filter(is_rust);
    missing.extend(
        left_over
            .filter(|symbol| !ours.contains(symbol))
            .map(str::to_owned),
    );
    if missing.is_empty() {
        return Ok(Proof { crates });
    }
    let count = missing.len();
    missing.truncate(SHOWN);
    Err(Failure::new(
        Exit::Environment,
        format!("{count} exported Rust symbols differ from the stock kernel's"),
    )
    .evidence(missing))
}

/// Fails unless two configurations set the same options.
fn same_configuration(stock: &str, ours: &str) -> Result<()> {
    let options = |text: &'_ str| -> BTreeSet<String> {
        let is_option = |line: &&str| {
            line.starts_with("CONFIG_")
                && !MAY_DIFFER.iter().any(|name| {
                    let rest = line.strip_prefix(name);
                    rest.is_some_and(|rest| rest.starts_with('='))
                })
        };
        text.lines().filter(is_option).map(str::to_owned).collect()
    };
    let (stock, ours) = (options(stock), options(ours));
    let mut different: Vec<_> = stock.symmetric_difference(&ours).cloned().collect();
    if different.is_empty() {
        return Ok(());
    }
    let count = different.len();
    different.truncate(SHOWN);
    Err(Failure::new(
        Exit::Environment,
        format!("{count} options of the configuration differ from the stock kernel's"),
    )
    .evidence(different))
}

fn exported(line: &str) -> Option<&str> {
    line.trim().strip_prefix(EXPORT)?.strip_suffix(");")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOCK: &str = "0x0\t_RNvCsA_6kernel1f\tvmlinux\tEXPORT_SYMBOL_GPL\t\n\
                         0x0\trust_helper_lock\tvmlinux\tEXPORT_SYMBOL_GPL\t\n";

    fn exports(kernel: &str) -> Vec<(&'static str, String)> {
        let line = |symbol: &str| format!("{EXPORT}{symbol});\n");
        vec![
            ("kernel", line(kernel)),
            ("helpers", line("rust_helper_lock")),
        ]
    }

    #[test]
    fn equal_symbols_are_counted() {
        let proof = compare(STOCK, &exports("_RNvCsA_6kernel1f")).unwrap();
        assert_eq!(
            proof.crates,
            [("kernel".to_owned(), 1), ("helpers".to_owned(), 1)]
        );
    }

    #[test]
    fn another_compilers_hash_is_refused_by_name() {
        let failure = compare(STOCK, &exports("_RNvCsB_6kernel1f")).unwrap_err();
        assert_eq!(failure.exit(), Exit::Environment);
        assert!(
            failure.summary().starts_with("2 exported Rust symbols"),
            "{failure}"
        );
    }

    #[test]
    fn a_stock_symbol_that_is_left_over_is_a_difference() {
        let stock = format!("{STOCK}0x0\t_RNvCsA_6kernel1g\tvmlinux\tEXPORT_SYMBOL_GPL\t\n");
        let failure = compare(&stock, &exports("_RNvCsA_6kernel1f")).unwrap_err();
        assert!(failure.summary().starts_with("1 exported"), "{failure}");
    }

    #[test]
    fn another_configuration_is_refused_unless_only_a_compilers_name_differs() {
        let stock = "CONFIG_SMP=y\nCONFIG_CC_VERSION_TEXT=\"a\"\n# CONFIG_X is not set\n";
        let ours = stock.replace("\"a\"", "\"b\"");
        assert!(same_configuration(stock, &ours).is_ok());
        assert!(same_configuration(stock, &stock.replace("CONFIG_SMP=y\n", "")).is_err());
        assert!(same_configuration(stock, &format!("{stock}CONFIG_X=y\n")).is_err());
    }

    #[test]
    fn metadata_without_symbols_proves_nothing() {
        let exports = [("kernel", String::from("/* nothing */\n"))];
        assert!(compare(STOCK, &exports).is_err());
    }
}
