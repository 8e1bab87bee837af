//! Arguments of the user's for controller and speakers, besides the operator's. Each is one flag, and none is the
//! operator's: a program that is given a flag twice does not start.

use std::collections::BTreeSet;

use metallb_crds::ComponentConfig;

use super::SpecRefusal;

/// Flags of containers, as the operator sets them, or may: by a field, a setting of its own, or what the cluster has.
pub const OWN_FLAGS: [&str; 13] = [
    "bgp-listen-port",
    "frrk8s-namespace",
    "frrk8s-secret-passthrough",
    "health-probe-port",
    "ignore-exclude-lb",
    "lb-class",
    "log-level",
    "metrics-cert-dir",
    "port",
    "tls-cipher-suites",
    "tls-curve-preferences",
    "tls-min-version",
    "webhook-mode",
];

/// Looks at `extraArgs` of the component that `field` configures.
pub(super) fn check(field: &str, config: Option<&ComponentConfig>, refusals: &mut Vec<SpecRefusal>) {
    let mut seen = BTreeSet::new();
    for (index, argument) in config.iter().flat_map(|config| &config.extra_args).enumerate() {
        let field = format!("spec.{field}.extraArgs[{index}]");
        match name(argument) {
            None => refusals.push(SpecRefusal::NotAFlag { field, value: argument.clone() }),
            Some(name) if OWN_FLAGS.contains(&name) => {
                refusals.push(SpecRefusal::OwnFlag { field, name: name.to_owned() });
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

    fn codes(arguments: &[&str]) -> Vec<&'static str> {
        let extra_args = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let config = ComponentConfig { extra_args, ..ComponentConfig::default() };
        let mut refusals = Vec::new();
        check("speakerConfig", Some(&config), &mut refusals);
        refusals.iter().map(SpecRefusal::code).collect()
    }

    #[test]
    fn flags_that_the_operator_never_sets_are_the_users() {
        assert_eq!(codes(&["--ml-wan-config", "-bgp-debounce-timeout=50", "--host="]), [""; 0]);
    }

    #[test]
    fn the_operators_flags_are_refused_however_they_are_written() {
        for argument in ["--port=1", "-port=1", "--port", "--log-level=debug", "--metrics-cert-dir=/x"] {
            assert_eq!(codes(&[argument]), ["operators-flag"], "{argument}");
        }
        assert_eq!(codes(&["--ports=1"]), [""; 0], "another");
    }

    #[test]
    fn a_value_by_itself_is_no_flag() {
        for argument in ["50", "", "-", "--", "---x", "--=x", "-1", "--a b", "-v"] {
            assert_eq!(codes(&[argument]), ["not-a-flag"], "{argument:?}");
        }
    }

    #[test]
    fn no_flag_is_given_twice() {
        assert_eq!(codes(&["--host=a", "-host=b"]), ["repeated-flag"]);
    }
}
