//! Arguments of the user's for controller and speakers, besides the operator's. Each is one of the few flags that nothing
//! else sets: a flag counts more than the environment variable of the same meaning, by which the operator says most.

use std::collections::BTreeSet;

use metallb_crds::ComponentConfig;

use super::SpecRefusal;

/// Flags of both programs that the user may set.
pub const OF_BOTH: [&str; 1] = ["pprof-bind-address"];
/// Those of the speaker beside them.
pub const OF_SPEAKER: [&str; 3] = ["bgp-debounce-timeout", "host", "ml-wan-config"];

/// Whose arguments they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Controller,
    Speaker,
}

impl Program {
    /// The flags that the user may set.
    pub(super) fn offers(self) -> Vec<&'static str> {
        match self {
            Self::Controller => OF_BOTH.to_vec(),
            Self::Speaker => [&OF_SPEAKER[..], &OF_BOTH].concat(),
        }
    }
}

/// Looks at `extraArgs` of the program that `field` configures.
pub(super) fn check(
    program: Program,
    field: &str,
    config: Option<&ComponentConfig>,
    refusals: &mut Vec<SpecRefusal>,
) {
    let offered = program.offers();
    let mut seen = BTreeSet::new();
    for (index, argument) in config.iter().flat_map(|config| &config.extra_args).enumerate() {
        let field = format!("spec.{field}.extraArgs[{index}]");
        match name(argument) {
            None => refusals.push(SpecRefusal::NotAFlag { field, value: argument.clone() }),
            Some(name) if !offered.contains(&name) => {
                let name = name.to_owned();
                refusals.push(SpecRefusal::NotOffered { field, name, offered: offered.clone() });
            }
            Some(name) if !seen.insert(name) => {
                refusals.push(SpecRefusal::RepeatedFlag { field, name: name.to_owned() });
            }
            Some(_) => {}
        }
    }
}

/// Of `--name`, `--name=value`, and the same with one dash, as Go reads flags.
pub(super) fn name(argument: &str) -> Option<&str> {
    let rest = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    let name = rest.split_once('=').map_or(rest, |(name, _)| name);
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
    (is_name && name.len() > 1).then_some(name)
}

#[cfg(test)]
mod tests {
    use metallb_core::refusal::Refusal as _;

    use super::*;

    fn codes(program: Program, arguments: &[&str]) -> Vec<&'static str> {
        let extra_args = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let config = ComponentConfig { extra_args, ..ComponentConfig::default() };
        let mut refusals = Vec::new();
        check(program, "speakerConfig", Some(&config), &mut refusals);
        refusals.iter().map(SpecRefusal::code).collect()
    }

    #[test]
    fn flags_that_nothing_else_sets_are_the_users() {
        let all = ["--ml-wan-config", "-bgp-debounce-timeout=50", "--host=", "--pprof-bind-address=:1"];
        assert_eq!(codes(Program::Speaker, &all), [""; 0]);
        assert_eq!(codes(Program::Controller, &["--pprof-bind-address=:1"]), [""; 0]);
    }

    #[test]
    fn others_are_refused_however_they_are_written() {
        for argument in
            ["--port=1", "-port=1", "--log-level=debug", "--node-name=other", "--help", "--unknown"]
        {
            for program in [Program::Controller, Program::Speaker] {
                assert_eq!(codes(program, &[argument]), ["flag-not-offered"], "{argument}");
            }
        }
        assert_eq!(codes(Program::Controller, &["--ml-wan-config"]), ["flag-not-offered"], "the speaker's");
    }

    #[test]
    fn a_value_by_itself_is_no_flag() {
        for argument in ["50", "", "-", "--", "---x", "--=x", "-1", "--a b", "-v"] {
            assert_eq!(codes(Program::Speaker, &[argument]), ["not-a-flag"], "{argument:?}");
        }
    }

    #[test]
    fn no_flag_is_given_twice() {
        assert_eq!(codes(Program::Speaker, &["--host=a", "-host=b"]), ["repeated-flag"]);
    }
}
