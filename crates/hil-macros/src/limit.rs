// SPDX-License-Identifier: MIT OR Apache-2.0

//! Bounds of time, as one writes them.

use syn::LitStr;

/// How many milliseconds each unit has.
const UNITS: [(&str, u64); 3] = [("ms", 1), ("s", 1000), ("min", 60_000)];

/// Reads a bound of time such as `30 s`, in milliseconds.
pub(crate) fn milliseconds(text: &LitStr) -> syn::Result<u64> {
    let value = text.value();
    let found = value.split_once(' ').and_then(|(number, unit)| {
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        // `parse` would take a sign too.
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| digits)?;
        number.checked_mul(*factor)
    });
    match found {
        Some(0) => Err(syn::Error::new(text.span(), "no test ends in no time")),
        Some(milliseconds) => Ok(milliseconds),
        None => {
            let help = format!(
                "`{value}` is no bound of time: write it like \"30 s\", \"500 ms\" or \"2 min\""
            );
            Err(syn::Error::new(text.span(), help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    fn read(text: &str) -> Result<u64, String> {
        milliseconds(&LitStr::new(text, Span::call_site())).map_err(|error| error.to_string())
    }

    #[test]
    fn each_unit_has_its_length() {
        assert_eq!(read("500 ms"), Ok(500));
        assert_eq!(read("30 s"), Ok(30_000));
        assert_eq!(read("2 min"), Ok(120_000));
    }

    #[test]
    fn what_is_no_bound_is_refused_with_an_example() {
        let bad = [
            "30",
            "30s",
            "30  s",
            " 30 s",
            "30 s ",
            "+30 s",
            "-1 s",
            "1.5 s",
            "2 h",
            "s",
            " s",
            "",
            "18446744073709551615 s",
            "99999999999999999999 ms",
        ];
        for text in bad {
            let error = read(text).unwrap_err();
            let expected = "is no bound of time: write it like \"30 s\"";
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn no_time_at_all_is_refused() {
        assert_eq!(read("0 min"), Err("no test ends in no time".to_owned()));
    }
}
