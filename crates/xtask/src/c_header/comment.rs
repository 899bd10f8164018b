// SPDX-License-Identifier: MIT OR Apache-2.0

//! Documentation of Rust as a comment of C.

use std::collections::BTreeMap;

use super::item::{Items, Module};

/// How long a line can be, in columns.
const WIDTH: usize = 96;

/// How much of a line a tab takes.
const TAB: usize = 8;

/// Writes documentation, if there is any. Links become the names that C has for what they lead to.
pub(super) fn write(text: &mut String, about: &[String], indent: &str, items: &Items, at: &Module) {
    let mut paragraphs = vec![String::new()];
    let mut links = BTreeMap::new();
    for line in about {
        let line = line.trim();
        if let Some((name, path)) = definition(line) {
            links.insert(name, path);
            continue;
        }
        match paragraphs.last_mut() {
            Some(last) if !line.is_empty() => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(line);
            }
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    if paragraphs.is_empty() {
        return;
    }
    let named = |path: &str| {
        let path = links.get(path).map_or(path, String::as_str);
        c_name(path, items, at)
    };
    let plain = |paragraph: &String| without_links(paragraph, &named).replace("*/", "* /");
    let paragraphs: Vec<_> = paragraphs.iter().map(plain).collect();
    let room = WIDTH - TAB * indent.len();
    if let [only] = &paragraphs[..] {
        if only.len() + 6 <= room {
            text.push_str(&format!("{indent}/* {only} */\n"));
            return;
        }
    }
    text.push_str(&format!("{indent}/*\n"));
    for (index, paragraph) in paragraphs.iter().enumerate() {
        if index > 0 {
            text.push_str(&format!("{indent} *\n"));
        }
        for line in wrapped(paragraph, room - 3) {
            text.push_str(&format!("{indent} * {line}\n"));
        }
    }
    text.push_str(&format!("{indent} */\n"));
}

/// Where a link leads that is told apart from its words: `[name]: path`.
fn definition(line: &str) -> Option<(String, String)> {
    let (name, path) = line.strip_prefix('[')?.split_once("]: ")?;
    let is_path = !path.contains(char::is_whitespace);
    is_path.then(|| (name.replace('`', ""), path.to_owned()))
}

fn wrapped(paragraph: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in paragraph.split_whitespace() {
        if let Some(last) = lines.last_mut() {
            if last.is_empty() || last.len() + 1 + word.len() <= width {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
}

/// Replaces each `[words](path)`, `[words][path]` and `[words]` by C's name for it, or by its words.
fn without_links(paragraph: &str, c_name: &impl Fn(&str) -> Option<String>) -> String {
    let mut plain = String::new();
    let mut rest = paragraph;
    while let Some(start) = rest.find('[') {
        plain.push_str(&rest[..start]);
        let inner = &rest[start + 1..];
        let Some(end) = inner.find(']') else {
            rest = &rest[start..];
            break;
        };
        let words = inner[..end].replace('`', "");
        let mut after = &inner[end + 1..];
        let mut path = words.clone();
        for (open, close) in [('(', ')'), ('[', ']')] {
            if let Some(target) = after.strip_prefix(open) {
                if let Some(length) = target.find(close) {
                    path = target[..length].replace('`', "");
                    after = &target[length + 1..];
                    break;
                }
            }
        }
        let words = words.trim_start_matches("super::").to_owned();
        plain.push_str(&c_name(&path).unwrap_or(words));
        rest = after;
    }
    plain.push_str(rest);
    plain.replace('`', "")
}

/// C's name for what a link leads to, if that is in C.
fn c_name(path: &str, items: &Items, at: &Module) -> Option<String> {
    let path = path.rsplit('@').next().unwrap_or(path);
    let words: Vec<_> = path.split("::").map(str::to_owned).collect();
    let item = items.find(&words, at).map(super::item::Item::c_name);
    item.or_else(|| items.prefix(&words, at))
}
