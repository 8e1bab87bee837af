//! Kubeconfig files, by the rules of kubectl: the file that is named, else those of `$KUBECONFIG`, else `~/.kube/config`.
//!
//! kube has this too. But it reads YAML into each of its types, and a reader of YAML for each is a quarter of a megabyte of
//! program; here YAML becomes JSON first, as in kubectl, and of that a reader is small.
//!
//! Not here: what they mean, which is kube's affair.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use anyhow::Context as _;
use kube::config::Kubeconfig;
use serde_json::Value;

/// The environment variable that names files.
const VARIABLE: &str = "KUBECONFIG";

/// The kubeconfig that counts where none is named.
pub(super) fn of_user() -> anyhow::Result<Kubeconfig> {
    let paths = std::env::var_os(VARIABLE);
    let paths: Vec<_> = paths.iter().flat_map(std::env::split_paths).collect();
    let mut paths = paths.iter().filter(|path| !path.as_os_str().is_empty()).peekable();
    if paths.peek().is_none() {
        let home = std::env::home_dir().context("this user has no home")?;
        return read(&home.join(".kube").join("config"));
    }
    let is_missing = |path: &&PathBuf| matches!(path.try_exists(), Ok(false));
    paths
        .filter(|path| !is_missing(path))
        .try_fold(Kubeconfig::default(), |all, path| Ok(all.merge(read(path)?)?))
}

/// The kubeconfig in a file. Paths in it are meant from where it is.
pub(super) fn read(path: &Path) -> anyhow::Result<Kubeconfig> {
    let read = || {
        let text = std::fs::read_to_string(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        parse(text.trim_start_matches('\u{feff}'), directory)
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

fn parse(text: &str, directory: &Path) -> anyhow::Result<Kubeconfig> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    documents.into_iter().filter(|document| !document.is_null()).try_fold(
        Kubeconfig::default(),
        |all, mut document| {
            make_absolute(&mut document, directory);
            Ok(all.merge(serde_json::from_value(document)?)?)
        },
    )
}

fn make_absolute(document: &mut Value, directory: &Path) {
    let in_list = [
        ("clusters", "/cluster/certificate-authority"),
        ("users", "/user/client-certificate"),
        ("users", "/user/client-key"),
        ("users", "/user/tokenFile"),
        ("users", "/user/exec/command"),
    ];
    for (list, pointer) in in_list {
        for entry in document.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(place) = entry.pointer_mut(pointer) else { continue };
            // A command without a directory is looked for on the path.
            let is_file = |text: &&str| !pointer.ends_with("command") || text.contains(MAIN_SEPARATOR);
            let named = place.as_str().filter(|text| !text.is_empty());
            let relative = named.filter(is_file).map(Path::new).filter(|path| path.is_relative());
            if let Some(absolute) = relative.and_then(|path| Some(directory.join(path).to_str()?.to_owned()))
            {
                *place = absolute.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "
apiVersion: v1
kind: Config
current-context: lab
clusters:
- name: lab
  cluster: { server: 'https://192.0.2.1:6443', certificate-authority: ca.crt }
contexts:
- name: lab
  context: { cluster: lab, user: admin, namespace: metallb-system }
users:
- name: admin
  user:
    client-certificate: pki/admin.crt
    client-key: /pki/admin.key
    exec: { apiVersion: client.authentication.k8s.io/v1, command: ./login, args: ['12'] }
- name: robot
  user: { tokenFile: token, client-key: '', exec: { command: aws } }
";

    #[test]
    fn files_that_it_names_are_where_it_is() {
        let read = parse(ONE, Path::new("/home/me/.kube")).unwrap();
        let cluster = read.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.certificate_authority.as_deref(), Some("/home/me/.kube/ca.crt"));
        let [admin, robot] = [0, 1].map(|n| read.auth_infos[n].auth_info.as_ref().unwrap());
        assert_eq!(admin.client_certificate.as_deref(), Some("/home/me/.kube/pki/admin.crt"));
        assert_eq!(admin.client_key.as_deref(), Some("/pki/admin.key"));
        let command = |user: &kube::config::AuthInfo| user.exec.as_ref().unwrap().command.clone().unwrap();
        assert_eq!(command(admin), "/home/me/.kube/./login");
        assert_eq!(robot.token_file.as_deref(), Some("/home/me/.kube/token"));
        assert_eq!(robot.client_key.as_deref(), Some(""), "none is none");
        assert_eq!(command(robot), "aws", "looked for on the path");
    }

    #[test]
    fn of_several_the_first_to_say_something_counts() {
        let other = "clusters: [{ name: lab, cluster: { server: 'https://192.0.2.2' } }, { name: b }]";
        let both = parse(&format!("{ONE}\n---\n{other}\n---\n"), Path::new("/")).unwrap();
        assert_eq!(both.current_context.as_deref(), Some("lab"));
        let names: Vec<_> = both.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!(names, ["lab", "b"]);
        let server = both.clusters[0].cluster.as_ref().unwrap().server.as_deref();
        assert_eq!(server, Some("https://192.0.2.1:6443"));
    }

    #[test]
    fn an_empty_one_says_nothing_and_one_that_is_none_is_an_error() {
        assert!(parse("", Path::new("/")).unwrap().clusters.is_empty());
        assert!(parse("clusters: 7", Path::new("/")).is_err());
        assert!(parse("{", Path::new("/")).is_err());
    }
}
