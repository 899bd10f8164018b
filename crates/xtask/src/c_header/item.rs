// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is public in the sources of the ABI, and what C calls it.

use std::collections::BTreeMap;

use syn::{Expr, Fields, Meta, Type, Visibility};

/// A module within the sources, by the names on the way to it.
pub(super) type Module = Vec<String>;

/// Something that C programs need.
pub(super) struct Item {
    pub(super) module: Module,
    name: String,
    pub(super) about: Vec<String>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Structure(Vec<Field>),
    Constant(Box<Value>),
}

/// The value of a constant.
pub(super) struct Value {
    pub(super) of_type: Type,
    pub(super) expression: Expr,
}

/// A member of a structure.
pub(super) struct Field {
    name: String,
    of_type: Type,
    pub(super) about: Vec<String>,
}

impl Item {
    /// As Rust names it, from the root of the sources.
    pub(super) fn path(&self) -> String {
        let mut path = self.module.clone();
        path.push(self.name.clone());
        path.join("::")
    }

    /// As C names it. The modules become a prefix, but for `ioctl`: what is no request code there has
    /// a prefix of its own.
    pub(super) fn c_name(&self) -> String {
        let value = match &self.kind {
            Kind::Structure(_) => return format!("dmacopy_{}", snake(&self.name)),
            Kind::Constant(value) => value,
        };
        let mut words = vec!["dmacopy"];
        for module in &self.module {
            match module.as_str() {
                "ioctl" if !is_request(&value.expression) => {}
                "names" => words.push("name"),
                other => words.push(other),
            }
        }
        words.push(&self.name);
        words.join("_").to_uppercase()
    }
}

impl Field {
    /// As C declares it.
    pub(super) fn declaration(&self) -> Result<String, String> {
        let name = &self.name;
        match &self.of_type {
            Type::Array(array) => {
                let length = super::expression::integer(&array.len)
                    .ok_or_else(|| format!("`{name}` is an array of a length that is no number"))?;
                Ok(format!("{} {name}[{length}];", c_type(&array.elem)?))
            }
            plain => Ok(format!("{} {name};", c_type(plain)?)),
        }
    }
}

/// The type of `<linux/types.h>` for a type of fixed width.
fn c_type(of_type: &Type) -> Result<String, String> {
    let name = type_name(of_type);
    let width = name.get(1..).unwrap_or_default();
    match (name.get(..1), width) {
        (Some("u"), "8" | "16" | "32" | "64") => Ok(format!("__u{width}")),
        (Some("i"), "8" | "16" | "32" | "64") => Ok(format!("__s{width}")),
        _ => Err(format!("C has no type for `{name}`")),
    }
}

/// The last word of a type's name.
pub(super) fn type_name(of_type: &Type) -> String {
    match of_type {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        Type::Reference(reference) => Some(format!("&{}", type_name(&reference.elem))),
        _ => None,
    }
    .unwrap_or_default()
}

/// Whether a value is `request::<Type>(…)`.
pub(super) fn is_request(value: &Expr) -> bool {
    let Expr::Call(call) = value else {
        return false;
    };
    matches!(&*call.func, Expr::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "request"))
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

/// All of them, in the order of the sources.
#[derive(Default)]
pub(super) struct Items {
    all: Vec<Item>,
    modules: BTreeMap<Module, Vec<String>>,
}

impl Items {
    pub(super) fn all(&self) -> &[Item] {
        &self.all
    }

    /// What is said of a module within a file.
    pub(super) fn about(&self, module: &Module) -> Option<&[String]> {
        self.modules.get(module).map(Vec::as_slice)
    }

    /// Takes what is public in a file.
    pub(super) fn read(&mut self, module: Option<&str>, file: &syn::File) -> Result<(), String> {
        let module: Module = module.into_iter().map(str::to_owned).collect();
        self.take(&module, &file.items)
    }

    fn take(&mut self, module: &Module, items: &[syn::Item]) -> Result<(), String> {
        for item in items {
            match item {
                syn::Item::Const(one) if is_public(&one.vis) => {
                    // Lists are for programs in Rust.
                    if matches!(&*one.ty, Type::Array(_)) {
                        continue;
                    }
                    let value = Value {
                        of_type: (*one.ty).clone(),
                        expression: (*one.expr).clone(),
                    };
                    let kind = Kind::Constant(Box::new(value));
                    self.add(module, &one.ident.to_string(), about(&one.attrs), kind)?;
                }
                syn::Item::Struct(one) if is_public(&one.vis) && is_in_c(&one.attrs) => {
                    let Fields::Named(named) = &one.fields else {
                        return Err(format!("`{}` has members without names", one.ident));
                    };
                    let fields = named.named.iter().map(|field| Field {
                        name: field
                            .ident
                            .as_ref()
                            .map(ToString::to_string)
                            .unwrap_or_default(),
                        of_type: field.ty.clone(),
                        about: about(&field.attrs),
                    });
                    let kind = Kind::Structure(fields.collect());
                    self.add(module, &one.ident.to_string(), about(&one.attrs), kind)?;
                }
                syn::Item::Mod(one) if is_public(&one.vis) => {
                    if let Some((_, items)) = &one.content {
                        let mut inner = module.clone();
                        inner.push(one.ident.to_string());
                        self.modules.insert(inner.clone(), about(&one.attrs));
                        self.take(&inner, items)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        module: &Module,
        name: &str,
        about: Vec<String>,
        kind: Kind,
    ) -> Result<(), String> {
        let item = Item {
            module: module.clone(),
            name: name.to_owned(),
            about,
            kind,
        };
        if let Some(other) = self.all.iter().find(|one| one.c_name() == item.c_name()) {
            return Err(format!(
                "{} and {} would both be {} in C",
                other.path(),
                item.path(),
                item.c_name()
            ));
        }
        self.all.push(item);
        Ok(())
    }

    /// What a path in a module means; `None` if it is not an item of the ABI.
    pub(super) fn find(&self, path: &[String], module: &Module) -> Option<&Item> {
        let path = resolved(path, module).join("::");
        self.all.iter().find(|item| item.path() == path)
    }

    /// How the names of a module's constants begin in C; `None` if there is no such module.
    pub(super) fn prefix(&self, path: &[String], module: &Module) -> Option<String> {
        let place = resolved(path, module);
        let inside = self
            .all
            .iter()
            .filter(|item| item.module.starts_with(&place));
        let mut constants = inside.filter(|item| matches!(item.kind, Kind::Constant(_)));
        constants.next()?;
        let words = place
            .iter()
            .map(|word| if word == "names" { "name" } else { word });
        let words: Vec<_> = words.collect();
        Some(format!("DMACOPY_{}_*", words.join("_").to_uppercase()))
    }
}

/// A path from the root of the sources.
fn resolved(path: &[String], module: &Module) -> Module {
    let mut place = module.clone();
    let mut rest = path;
    while let Some((first, more)) = rest.split_first() {
        match first.as_str() {
            "super" => {
                place.pop();
            }
            "self" => {}
            _ => break,
        }
        rest = more;
    }
    place.extend(rest.iter().cloned());
    place
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether a structure has the layout that C would give it.
fn is_in_c(attributes: &[syn::Attribute]) -> bool {
    let is_c = |attribute: &syn::Attribute| {
        let mut found = false;
        // What cannot be understood is not `repr(C)`.
        let _ = attribute.parse_nested_meta(|meta| {
            found |= meta.path.is_ident("C");
            Ok(())
        });
        found
    };
    let mut representations = attributes.iter().filter(|one| one.path().is_ident("repr"));
    representations.any(is_c)
}

/// The lines of the documentation.
fn about(attributes: &[syn::Attribute]) -> Vec<String> {
    let line = |attribute: &syn::Attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let Expr::Lit(literal) = &pair.value else {
            return None;
        };
        let syn::Lit::Str(text) = &literal.lit else {
            return None;
        };
        attribute.path().is_ident("doc").then(|| text.value())
    };
    attributes.iter().filter_map(line).collect()
}
