//! `/etc/metallb/excludel2.yaml`: interfaces that the speaker leaves alone, by regular expression.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use crate::net::links::Excluded;

/// Where the ConfigMap `metallb-excludel2` is mounted.
pub const FILE: &str = "/etc/metallb/excludel2.yaml";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    announced_interfaces_to_exclude: Option<Vec<String>>,
}

/// Reads the file. A missing one excludes nothing; one that cannot be understood is an error, for the interfaces it
/// means to exclude would be used.
pub fn read(path: &Path) -> anyhow::Result<Excluded> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Excluded::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    parse(&text).with_context(|| format!("{} (ConfigMap metallb-excludel2)", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Excluded> {
    // By way of JSON: a reader of YAML for each type is much program.
    let file: Value = serde_saphyr::from_str(text).context("is not YAML")?;
    let file: Option<File> = serde_json::from_value(file).context("is not YAML as expected")?;
    Excluded::new(&file.unwrap_or_default().announced_interfaces_to_exclude.unwrap_or_default())
        .context("announcedInterfacesToExclude holds no valid regular expression")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_expressions_excludes_what_any_of_them_finds() {
        let excluded = parse("announcedInterfacesToExclude: ['^docker.*', '^lo$', 'cali']").unwrap();
        for (name, is) in [("docker0", true), ("lo", true), ("lo0", false), ("xcali1", true), ("eth0", false)]
        {
            assert_eq!(excluded.contains(name), is, "{name}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_empty_excludes_nothing() {
        let texts = ["", "announcedInterfacesToExclude: []", "announcedInterfacesToExclude:"];
        for excluded in texts.map(parse).into_iter().chain([read(Path::new("/no/such/file"))]) {
            assert!(!excluded.unwrap().contains("eth0"));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        assert!(parse("announcedInterfacesToExclude: ['(']").is_err());
        assert!(parse("announcedInterfacesToExclude: 7").is_err());
    }
}
