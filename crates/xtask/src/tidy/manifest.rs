// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the rules want to know of a `Cargo.toml`.

use toml::{Table, Value};

use super::Fault;
use crate::File;

/// A manifest, and the file it stands in.
#[derive(Debug)]
pub(super) struct Manifest<'a> {
    pub(super) file: &'a File,
    table: Table,
}

/// One line of one of its dependency tables.
#[derive(Debug)]
pub(super) struct Dependency<'a> {
    /// The package that is meant, also if it is renamed.
    pub(super) package: &'a str,
    pub(super) line: usize,
    pub(super) value: &'a Value,
}

impl<'a> Manifest<'a> {
    pub(super) fn read(file: &'a File) -> Result<Self, Fault> {
        match file.text.parse() {
            Ok(table) => Ok(Self { file, table }),
            Err(error) => {
                let what = format!("cannot be read: {}", error.to_string().replace('\n', " "));
                Err(Fault::new(&file.path, 1, what))
            }
        }
    }

    /// The value below these keys.
    pub(super) fn get(&self, keys: &[&str]) -> Option<&Value> {
        let (first, rest) = keys.split_first()?;
        let mut value = self.table.get(*first)?;
        for key in rest {
            value = value.get(key)?;
        }
        Some(value)
    }

    /// The name of the package.
    pub(super) fn package(&self) -> &str {
        self.get(&["package", "name"])
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// What these tables name, for all targets and for particular ones.
    pub(super) fn dependencies(&self, tables: &[&str]) -> Vec<Dependency<'_>> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(|targets| targets.values());
        let everywhere = targets.filter_map(Value::as_table).chain([&self.table]);
        let mut found = Vec::new();
        for place in everywhere {
            for name in tables {
                let table = place.get(*name).and_then(Value::as_table);
                for (key, value) in table.into_iter().flatten() {
                    found.push(Dependency {
                        package: value.get("package").and_then(Value::as_str).unwrap_or(key),
                        line: self.line(name, key),
                        value,
                    });
                }
            }
        }
        found
    }

    /// The line that names a key of a table, as far as that can be told from the text.
    fn line(&self, table: &str, key: &str) -> usize {
        let mut inside = false;
        for (index, line) in self.file.text.lines().enumerate() {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                let header = header.trim_end_matches(']');
                inside = header.ends_with(table);
                if header.ends_with(&format!("{table}.{key}")) {
                    return index + 1;
                }
            } else if inside {
                let rest = line.strip_prefix(key).unwrap_or_default();
                if rest.starts_with(['.', '=', ' ']) {
                    return index + 1;
                }
            }
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[package]\nname = \"a\"\n\n[dependencies]\nb-c = \"1\"\nb.workspace = true\n\
        [dev-dependencies.d]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\ne = { package = \"f\" }\n";

    fn names(tables: &[&str]) -> Vec<(String, usize)> {
        let file = File {
            path: "Cargo.toml".to_owned(),
            text: TEXT.to_owned(),
        };
        let manifest = Manifest::read(&file).unwrap();
        assert_eq!(manifest.package(), "a");
        let found = manifest.dependencies(tables);
        let names = found.iter().map(|one| (one.package.to_owned(), one.line));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn dependencies_come_with_their_lines() {
        let expected = [("b", 6), ("b-c", 5), ("f", 10)];
        let expected = expected.map(|(name, line)| (name.to_owned(), line));
        assert_eq!(names(&["dependencies"]), expected);
        assert_eq!(names(&["dev-dependencies"]), [("d".to_owned(), 7)]);
    }
}
