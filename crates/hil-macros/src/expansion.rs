// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the attribute makes of a function: the function, and its entry in the list of all tests.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, Path};

use crate::function::{self, Place};
use crate::options::Options;

/// What a test may take at most that says nothing about it, milliseconds.
const TIMEOUT_MS: u64 = 60_000;

pub(crate) fn expand(options: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let options = Options::read(options)?;
    let function: ItemFn = syn::parse2(function)?;
    let place = function::place(&function, &options)?;

    let name = &function.sig.ident;
    let body = Path::from(name.clone());
    let part = |part: &Path| call(&place, part);
    let optional = |path: &Option<Path>| match path.as_ref().map(part) {
        Some(part) => quote!(::core::option::Option::Some(#part)),
        None => quote!(::core::option::Option::None),
    };
    let text = |text: &Option<syn::LitStr>| match text {
        Some(text) => quote!(::core::option::Option::Some(#text)),
        None => quote!(::core::option::Option::None),
    };
    let (body, setup, teardown) = (
        part(&body),
        optional(&options.setup),
        optional(&options.teardown),
    );
    let place = match &place {
        Place::Anywhere => quote!(Anywhere),
        Place::Target(argument) => quote_spanned!(argument.span()=> Target),
        Place::Bench(argument) => quote_spanned!(argument.span()=> Bench),
    };
    let (requires, provokes) = (&options.requires, &options.provokes);
    let timeout_ms = options.timeout_ms.unwrap_or(TIMEOUT_MS);
    let should_panic = text(&options.should_panic);
    let ignore = text(&options.ignore);

    // Who forbids these lints anywhere else wants a test to fail by panicking all the same.
    // clippy cannot know that this is a test: it looks for the built-in harness's mark.
    let conditions = function.attrs.iter().filter(|a| a.path().is_ident("cfg"));
    let conditions: Vec<_> = conditions.collect();
    // The built-in harness would find no test, and be content.
    let under_another_harness = format_ident!("{name}_needs_another_harness");
    Ok(quote! {
        #[allow(
            clippy::unwrap_used,
            clippy::expect_used,
            clippy::panic,
            reason = "a test that cannot go on has failed"
        )]
        #function

        #(#conditions)*
        #[::core::prelude::v1::test]
        fn #under_another_harness() {
            ::core::panic!(
                "Cargo.toml must say `harness = false` in the [[test]] that names this file, and \
                 the file must end with `hil::main!();`"
            );
        }

        #(#conditions)*
        const _: () = {
            #[::hil::expansion::linkme::distributed_slice(::hil::expansion::TESTS)]
            #[linkme(crate = ::hil::expansion::linkme)]
            static TEST: ::hil::expansion::Test = ::hil::expansion::Test {
                module: ::core::module_path!(),
                function: ::core::stringify!(#name),
                body: ::hil::expansion::Body::#place(::hil::expansion::Case {
                    setup: #setup,
                    body: #body,
                    teardown: #teardown,
                }),
                requires: &[#(#requires),*],
                provokes: &[#(#provokes),*],
                timeout_ms: #timeout_ms,
                should_panic: #should_panic,
                ignore: #ignore,
            };
        };
    })
}

/// A call of one part of a test, as a function that takes what the place offers.
fn call(place: &Place, part: &Path) -> TokenStream {
    match place {
        Place::Anywhere => quote_spanned! {part.span()=>
            |_: &mut ()| ::hil::expansion::verdict(#part())
        },
        Place::Target(argument) | Place::Bench(argument) => quote_spanned! {part.span()=>
            |subject: &mut #argument| ::hil::expansion::verdict(#part(subject))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: &str, function: &str) -> String {
        let tokens = expand(options.parse().unwrap(), function.parse().unwrap()).unwrap();
        let file: syn::File = syn::parse2(tokens).unwrap();
        // Blanks are where the printer of tokens likes them.
        let text = quote!(#file).to_string();
        text.split_whitespace().collect()
    }

    #[test]
    fn the_function_stays_and_a_test_is_added() {
        let text = expanded("", "/// Text.\npub fn a_name() { body(); }");
        assert!(text.contains("pubfna_name(){body();}"), "{text}");
        assert!(text.contains("function:::core::stringify!(a_name),"));
        assert!(text.contains("Body::Anywhere("));
        assert!(text.contains("requires:&[],provokes:&[],timeout_ms:60000u64,"));
        assert!(text.contains("setup:::core::option::Option::None,"));
    }

    #[test]
    fn another_harness_finds_a_test_that_fails() {
        let text = expanded("", "#[cfg(unix)] fn a_name() {}");
        let guard = "#[cfg(unix)]#[::core::prelude::v1::test]fna_name_needs_another_harness(){\
                     ::core::panic!(";
        assert!(text.contains(guard), "{text}");
    }

    #[test]
    fn the_options_are_in_the_test() {
        let text = expanded(
            "requires(\"a\", \"b\"), provokes(\"c\"), timeout = \"2 s\", setup = on, ignore = \"why\"",
            "fn c(target: &mut hil::Target) -> hil::Result { Ok(()) }",
        );
        let on = "setup:::core::option::Option::Some(|subject:&muthil::Target|::hil::expansion::\
            verdict(on(subject)))";
        for part in [
            "Body::Target(",
            on,
            "requires:&[\"a\",\"b\"],provokes:&[\"c\"],timeout_ms:2000u64,",
            "should_panic:::core::option::Option::None,",
            "ignore:::core::option::Option::Some(\"why\"),",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }

    #[test]
    fn what_is_compiled_out_is_no_test() {
        let text = expanded("", "#[cfg(unix)]\nfn a(b: &mut Bench) {}");
        assert_eq!(text.matches("#[cfg(unix)]").count(), 3);
        assert!(text.contains("Body::Bench("));
    }

    #[test]
    fn only_a_function_can_be_a_test() {
        assert!(expand(TokenStream::new(), "struct A;".parse().unwrap()).is_err());
    }
}
