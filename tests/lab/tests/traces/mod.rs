//! What a cluster leaves on a machine, found without asking the lab.

use std::fs;
use std::path::Path;

/// True, with a word about it, when this test cannot run.
pub fn needs_root() -> bool {
    let owner = fs::metadata("/proc/self").map(|itself| std::os::unix::fs::MetadataExt::uid(&itself));
    let root = owner.is_ok_and(|uid| uid == 0);
    if !root {
        eprintln!("skipped: a cluster is made of namespaces, which takes root");
    }
    !root
}

/// Processes, network namespaces, control groups, mounts and files of what has this name, or a name that starts with
/// it and a dash.
pub fn traces_of(name: &str) -> Vec<String> {
    let mut traces = Vec::new();
    let ours =
        |entry: &str| entry == name || entry.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    for namespace in names_in(Path::new("/run/netns")).into_iter().filter(|entry| ours(entry)) {
        traces.push(format!("network namespace {namespace}"));
    }
    for hierarchy in names_in(Path::new("/sys/fs/cgroup")) {
        let hierarchy = Path::new("/sys/fs/cgroup").join(hierarchy);
        for group in names_in(&hierarchy).into_iter().filter(|entry| ours(entry)) {
            traces.push(format!("control group {}", hierarchy.join(group).display()));
        }
    }
    for group in names_in(Path::new("/sys/fs/cgroup")).into_iter().filter(|entry| ours(entry)) {
        traces.push(format!("control group {group}"));
    }
    for pid in names_in(Path::new("/proc")).into_iter().filter(|entry| entry.parse::<u32>().is_ok()) {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let stat = read("stat");
        let stat = String::from_utf8_lossy(&stat);
        if stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z')) {
            continue;
        }
        let (groups, command) = (read("cgroup"), read("cmdline"));
        let groups = String::from_utf8_lossy(&groups);
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let in_group = groups.lines().flat_map(|line| line.split('/')).any(ours);
        let named = command.split(['/', '=', ' ', ':']).any(ours)
            && !command.contains("cargo")
            && !is_janitor(&command);
        if in_group || named {
            traces.push(format!("process {pid} {command}"));
        }
    }
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    traces.extend(
        mounts.lines().filter(|line| line.split(['/', ' ']).any(ours)).map(|line| format!("mount {line}")),
    );
    for root in ["/run/metallb-lab", "/tmp", "/var/lib/cni", "/var/lib/kubelet"] {
        for entry in
            names_in(Path::new(root)).into_iter().filter(|entry| ours(entry.trim_end_matches(".lock")))
        {
            traces.push(format!("file {root}/{entry}"));
        }
    }
    traces
}

/// It outlives the cluster by a moment: it is there to look whether anything is left.
fn is_janitor(command: &str) -> bool {
    command.contains(" janitor ") || command.trim_end().ends_with(" bury")
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
