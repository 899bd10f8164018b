// SPDX-License-Identifier: MIT OR Apache-2.0

//! The attribute `#[hil::test]`. Use it through `hil`, which says what it does.

mod expansion;
mod function;
mod limit;
mod options;

use proc_macro::TokenStream;

/// Makes a function a test on hardware: see `hil::test`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    expansion::expand(options.into(), function.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
