// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a function must look like to be a test, and where it runs.

use proc_macro2::Span;
use syn::{FnArg, Ident, ItemFn, ReturnType, Safety, Type};

use crate::options::Options;

/// What an error says about an argument that tells no place.
const ARGUMENTS: &str = "a test takes `&mut Target` to run on the board, `&mut Bench` to run on \
    the PC, or nothing to run in either place";

/// The places, by the name of the argument's type.
const TARGET: &str = "Target";
const BENCH: &str = "Bench";

/// Where a test runs, and the type of its argument where there is one.
pub(crate) enum Place {
    Anywhere,
    Target(Type),
    Bench(Type),
}

/// The place that a function asks for.
///
/// # Errors
///
/// When it cannot be a test.
pub(crate) fn place(function: &ItemFn, options: &Options) -> syn::Result<Place> {
    plain(function)?;
    attributes(function)?;
    let returns_something = match &function.sig.output {
        ReturnType::Default => None,
        ReturnType::Type(_, output) => Some(output),
    };
    if let (Some(output), Some(_)) = (returns_something, &options.should_panic) {
        let what = "a test that should panic returns nothing";
        return Err(syn::Error::new_spanned(output, what));
    }
    let mut arguments = function.sig.inputs.iter();
    let place = match arguments.next() {
        None => Place::Anywhere,
        Some(FnArg::Receiver(receiver)) => {
            let what = "a test is a function of its own, not of a type";
            return Err(syn::Error::new_spanned(receiver, what));
        }
        Some(FnArg::Typed(argument)) => by_type(&argument.ty)?,
    };
    match arguments.next() {
        None => Ok(place),
        Some(second) => Err(syn::Error::new_spanned(second, ARGUMENTS)),
    }
}

/// The place that the type of an argument tells.
fn by_type(argument: &Type) -> syn::Result<Place> {
    let (named, exclusive) = match argument {
        Type::Reference(reference) => (&*reference.elem, reference.mutability.is_some()),
        other => (other, false),
    };
    let name = match named {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    };
    match name.as_deref() {
        Some(name @ (TARGET | BENCH)) if !exclusive => {
            let what = format!("a test has it for itself: write `&mut {name}`");
            Err(syn::Error::new_spanned(argument, what))
        }
        Some(TARGET) => Ok(Place::Target(named.clone())),
        Some(BENCH) => Ok(Place::Bench(named.clone())),
        _ => Err(syn::Error::new_spanned(argument, ARGUMENTS)),
    }
}

/// Refuses a function that is more than a plain one.
fn plain(function: &ItemFn) -> syn::Result<()> {
    function.modifiers.require_empty()?;
    let signature = &function.sig;
    let refuse = |span: Span, what: &str| Err(syn::Error::new(span, what));
    if let Some(word) = signature.asyncness {
        return refuse(
            word.span,
            "a test is no `async fn`: block on the future within it",
        );
    }
    if let Some(word) = signature.constness {
        return refuse(word.span, "a test is no `const fn`");
    }
    if let Safety::Unsafe(word) = &signature.safety {
        return refuse(
            word.span,
            "whoever runs a test knows of no condition for it",
        );
    }
    if let Some(abi) = &signature.abi {
        return Err(syn::Error::new_spanned(abi, "a test has Rust's own ABI"));
    }
    if !signature.generics.params.is_empty() {
        let what = "a test has no generic parameters: nobody says what they are";
        return Err(syn::Error::new_spanned(&signature.generics, what));
    }
    Ok(())
}

/// Refuses attributes that mean something only to the built-in harness.
fn attributes(function: &ItemFn) -> syn::Result<()> {
    for attribute in &function.attrs {
        let name = attribute.path().get_ident().map(Ident::to_string);
        let what = match name.as_deref() {
            Some("test") => "this is a test already, and not of the built-in harness",
            Some("ignore") => "write `#[hil::test(ignore = \"reason\")]`",
            Some("should_panic") => "write `#[hil::test(should_panic = \"text\")]`",
            _ => continue,
        };
        return Err(syn::Error::new_spanned(attribute, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str, function: &str) -> syn::Result<Place> {
        let options = Options::read(options.parse().unwrap()).unwrap();
        place(&syn::parse_str(function).unwrap(), &options)
    }

    /// The text that an error points to, and what it says.
    fn refused<'a>(options: &str, function: &'a str) -> (&'a str, String) {
        let error = read(options, function).err().unwrap();
        (&function[error.span().byte_range()], error.to_string())
    }

    #[test]
    fn the_argument_tells_the_place() {
        let place = |function| read("", function).unwrap();
        assert!(matches!(place("fn a() {}"), Place::Anywhere));
        for function in [
            "fn a(target: &mut Target) {}",
            "pub(crate) fn a(_: &mut hil::Target) -> hil::Result { Ok(()) }",
            "fn a(_target: &mut ::hil::Target,) {}",
        ] {
            assert!(matches!(place(function), Place::Target(_)), "{function}");
        }
        for function in ["fn a(b: &mut Bench) {}", "fn a(b: &mut hil::Bench) {}"] {
            assert!(matches!(place(function), Place::Bench(_)), "{function}");
        }
    }

    #[test]
    fn any_other_argument_is_refused_where_it_stands() {
        let all = ARGUMENTS.to_owned();
        for (function, place) in [
            ("fn a(count: usize) {}", "usize"),
            ("fn a(targets: &mut [Target]) {}", "&mut [Target]"),
            ("fn a(targets: &mut Vec<Target>) {}", "&mut Vec<Target>"),
            ("fn a(t: &mut Target, b: &mut Bench) {}", "b: &mut Bench"),
        ] {
            assert_eq!(refused("", function), (place, all.clone()));
        }
    }

    #[test]
    fn a_test_has_its_target_for_itself() {
        let expected = "a test has it for itself: write `&mut Target`".to_owned();
        let shared = refused("", "fn a(t: &hil::Target) {}");
        assert_eq!(shared, ("&hil::Target", expected.clone()));
        assert_eq!(refused("", "fn a(t: Target) {}"), ("Target", expected));
        let bench = refused("", "fn a(b: &Bench) {}").1;
        assert!(bench.ends_with("write `&mut Bench`"));
    }

    #[test]
    fn only_plain_functions_are_tests() {
        for (function, place) in [
            ("async fn a() {}", "async"),
            ("const fn a() {}", "const"),
            ("unsafe fn a() {}", "unsafe"),
            ("extern \"C\" fn a() {}", "extern \"C\""),
            ("fn a<T>() {}", "<T>"),
            ("fn a<'a>(t: &'a mut Target) {}", "<'a>"),
            ("fn a(&self) {}", "&self"),
        ] {
            assert_eq!(refused("", function).0, place);
        }
    }

    #[test]
    fn attributes_of_the_built_in_harness_are_refused() {
        for attribute in ["#[test]", "#[ignore = \"a\"]", "#[should_panic]"] {
            let function = format!("/// Text.\n{attribute}\nfn a() {{}}");
            assert_eq!(refused("", &function).0, attribute);
        }
        assert!(read("", "#[cfg(unix)] #[allow(unused)] fn a() {}").is_ok());
    }

    #[test]
    fn a_test_that_should_panic_returns_nothing() {
        let function = "fn a() -> hil::Result { Ok(()) }";
        let (place, what) = refused("should_panic", function);
        assert_eq!(place, "hil::Result");
        assert_eq!(what, "a test that should panic returns nothing");
        assert!(read("should_panic", "fn a() {}").is_ok());
    }
}
