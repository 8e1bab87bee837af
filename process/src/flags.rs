//! Go's flag syntax on top of clap: `-x` is `--x`, values come after `=` or a space, and booleans take `=false`.
//!
//! Charts and manifests written for upstream pass flags this way. Not here: which flags a program has.

use std::ffi::OsString;

/// The arguments as clap wants them: one dash becomes two. The first is the program's name and stays.
pub fn from_go(arguments: impl IntoIterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    arguments.into_iter().enumerate().map(|(position, argument)| match argument.to_str() {
        Some(text) if position > 0 && is_one_dash_flag(text) => OsString::from(format!("-{text}")),
        _ => argument,
    })
}

fn is_one_dash_flag(text: &str) -> bool {
    // Flags start with a letter, so a negative number is a value. `-h` is clap's own.
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(char::is_alphabetic) && text.len() > 2
}

/// A boolean as Go's `strconv.ParseBool` reads it.
///
/// Use with `#[arg(long, default_value = "false", num_args = 0..=1, require_equals = true,
/// default_missing_value = "true", value_parser = parse_bool, action = clap::ArgAction::Set)]`.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Parser)]
    struct Flags {
        #[arg(long, default_value = "9120")]
        port: u16,
        #[arg(long, default_value = "")]
        lb_class: String,
        #[arg(long, default_value = "false", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", value_parser = parse_bool, action = clap::ArgAction::Set)]
        webhook_http2: bool,
    }

    fn parse(arguments: &[&str]) -> Result<Flags, clap::error::ErrorKind> {
        let arguments = std::iter::once("program").chain(arguments.iter().copied()).map(OsString::from);
        Flags::try_parse_from(from_go(arguments)).map_err(|error| error.kind())
    }

    #[test]
    fn one_dash_and_two_dashes_and_both_ways_to_give_a_value_are_the_same() {
        let expected = Ok(Flags { port: 7472, lb_class: "x".into(), webhook_http2: false });
        for arguments in [
            &["--port=7472", "--lb-class=x"][..],
            &["-port=7472", "-lb-class=x"],
            &["--port", "7472", "--lb-class", "x"],
            &["-port", "7472", "-lb-class", "x"],
        ] {
            assert_eq!(parse(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn a_boolean_is_set_by_its_name_and_unset_by_false() {
        for (arguments, value) in [
            (&[][..], false),
            (&["--webhook-http2"], true),
            (&["-webhook-http2=T"], true),
            (&["--webhook-http2=false"], false),
            (&["-webhook-http2=0"], false),
        ] {
            assert_eq!(parse(arguments).map(|flags| flags.webhook_http2), Ok(value), "{arguments:?}");
        }
    }

    #[test]
    fn an_unknown_flag_or_a_value_after_a_boolean_is_refused() {
        assert_eq!(parse(&["--no-such-flag"]), Err(clap::error::ErrorKind::UnknownArgument));
        assert_eq!(parse(&["--webhook-http2", "false"]), Err(clap::error::ErrorKind::UnknownArgument));
    }
}
