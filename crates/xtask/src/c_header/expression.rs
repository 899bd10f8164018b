// SPDX-License-Identifier: MIT OR Apache-2.0

//! The value of a constant as C says it.

use syn::{BinOp, Expr, GenericArgument, Lit, PathArguments, UnOp};

use super::item::{Items, Module, Value, is_request, type_name};

/// Says a value in C, or why that cannot be.
pub(super) fn in_c(value: &Value, items: &Items, module: &Module) -> Result<String, String> {
    if is_request(&value.expression) {
        return request(&value.expression, items, module);
    }
    let suffix = match type_name(&value.of_type).as_str() {
        "u64" => "ULL",
        "i64" => "LL",
        _ => "",
    };
    say(&value.expression, suffix, items, module)
}

fn say(value: &Expr, suffix: &str, items: &Items, module: &Module) -> Result<String, String> {
    let again = |inner: &Expr| say(inner, suffix, items, module);
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Ok(format!("{:?}", text.value())),
            Lit::Int(number) => Ok(format!("{}{suffix}", digits(number))),
            _ => Err("C has no such literal".to_owned()),
        },
        Expr::Paren(inner) => again(&inner.expr),
        Expr::Group(inner) => again(&inner.expr),
        Expr::Cast(cast) => again(&cast.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            Ok(format!("(-{})", again(&unary.expr)?))
        }
        Expr::Binary(binary) => {
            let operator = match binary.op {
                BinOp::Add(_) => "+",
                BinOp::Sub(_) => "-",
                BinOp::Mul(_) => "*",
                BinOp::Div(_) => "/",
                BinOp::BitOr(_) => "|",
                BinOp::BitAnd(_) => "&",
                BinOp::Shl(_) => "<<",
                BinOp::Shr(_) => ">>",
                _ => return Err("C is not told this operator".to_owned()),
            };
            // How far it is shifted has no width of its own.
            let right = match binary.op {
                BinOp::Shl(_) | BinOp::Shr(_) => say(&binary.right, "", items, module)?,
                _ => again(&binary.right)?,
            };
            Ok(format!("({} {operator} {right})", again(&binary.left)?))
        }
        Expr::Path(path) => {
            let words: Vec<_> = path
                .path
                .segments
                .iter()
                .map(|one| one.ident.to_string())
                .collect();
            let found = items.find(&words, module);
            let found = found.ok_or_else(|| format!("`{}` is not in C", words.join("::")))?;
            Ok(found.c_name())
        }
        _ => Err("C cannot compute this".to_owned()),
    }
}

/// `request::<Type>(directions, number)` as the macro of `<linux/ioctl.h>`.
fn request(value: &Expr, items: &Items, module: &Module) -> Result<String, String> {
    let odd = || "this is not `request::<Type>(directions, number)`".to_owned();
    let Expr::Call(call) = value else {
        return Err(odd());
    };
    let Expr::Path(function) = &*call.func else {
        return Err(odd());
    };
    let last = function.path.segments.last().ok_or_else(odd)?;
    let PathArguments::AngleBracketed(generic) = &last.arguments else {
        return Err(odd());
    };
    let (Some(GenericArgument::Type(carried)), [directions, number]) = (
        generic.args.first(),
        &call.args.iter().collect::<Vec<_>>()[..],
    ) else {
        return Err(odd());
    };
    let (mut reads, mut writes) = (false, false);
    let mut words = Vec::new();
    names(directions, &mut words);
    for word in &words {
        match word.as_str() {
            "READ" => reads = true,
            "WRITE" => writes = true,
            _ => return Err(odd()),
        }
    }
    let direction = match (writes, reads) {
        (true, true) => "WR",
        (true, false) => "W",
        (false, true) => "R",
        (false, false) => return Err("a request that carries nothing has no type".to_owned()),
    };
    let carried = type_name(carried);
    let carried = match carried.as_str() {
        "u32" => "__u32".to_owned(),
        "i32" => "__s32".to_owned(),
        "u64" => "__u64".to_owned(),
        name => {
            let found = items.find(&[name.to_owned()], module);
            let found = found.ok_or_else(|| format!("`{name}` is not in C"))?;
            format!("struct {}", found.c_name())
        }
    };
    let magic = items.find(&["MAGIC".to_owned()], module);
    let magic = magic.ok_or("there is no MAGIC")?.c_name();
    let number = say(number, "", items, module)?;
    Ok(format!("_IO{direction}({magic}, {number}, {carried})"))
}

/// The names that are combined by `|`.
fn names(value: &Expr, found: &mut Vec<String>) {
    match value {
        Expr::Binary(binary) => {
            names(&binary.left, found);
            names(&binary.right, found);
        }
        Expr::Path(path) => {
            found.extend(path.path.segments.last().map(|one| one.ident.to_string()))
        }
        // Whatever else it is, it is no direction.
        _ => found.push(String::new()),
    }
}

/// A number as C writes it, in the base that it is written in.
fn digits(number: &syn::LitInt) -> String {
    let text = number.to_string();
    let text = text.strip_suffix(number.suffix()).unwrap_or(&text);
    text.replace('_', "")
}

/// The value of a number.
pub(super) fn integer(value: &Expr) -> Option<u64> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}
