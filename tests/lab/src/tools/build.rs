//! Compiling a recipe once: locked, in a temporary directory, put in place by one rename.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::recipe::Recipe;
use crate::lock::Lock;

/// The directory with the finished build, and how long building took just now.
pub(super) fn ensure(cache: &Path, recipe: &Recipe) -> Result<(PathBuf, Duration)> {
    let key = recipe.key();
    let directory = cache.join(&key);
    if complete(recipe, &directory) {
        return Ok((directory, Duration::ZERO));
    }
    fs::create_dir_all(cache).with_context(|| format!("create the cache {}", cache.display()))?;
    let _lock = Lock::acquire(&cache.join(format!("{key}.lock")), || {
        eprintln!("lab: waiting for another process that builds {key}");
    })?;
    if complete(recipe, &directory) {
        return Ok((directory, Duration::ZERO));
    }
    let began = Instant::now();
    eprintln!("lab: building {}", recipe.announce);
    let work =
        tempfile::Builder::new().prefix(".building-").tempdir_in(cache).context("make a build directory")?;
    let source = work.path().join("source");
    recipe.unpack(&source)?;
    require_go(&recipe.module.map_or_else(|| source.clone(), |module| source.join(module)))?;
    let out = work.path().join("out");
    let script = source.join(recipe.script);
    let status =
        Command::new(&script).arg(&out).status().with_context(|| format!("run {}", script.display()))?;
    if !status.success() {
        bail!("{} failed ({status}); the messages above say why", recipe.script);
    }
    if !complete(recipe, &out) {
        bail!("{} ended well, but did not make all of {:?}", recipe.script, recipe.yields);
    }
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("remove the broken {}", directory.display()))?;
    }
    fs::rename(&out, &directory).with_context(|| format!("put {} in place", directory.display()))?;
    let took = began.elapsed();
    eprintln!("lab: built {} in {:.0} s", directory.display(), took.as_secs_f32());
    Ok((directory, took))
}

fn complete(recipe: &Recipe, directory: &Path) -> bool {
    recipe.yields.iter().all(|name| directory.join(name).exists())
}

/// Asked inside the module that wants the newest compiler: a Go that can fetch a newer toolchain does so here.
fn require_go(module: &Path) -> Result<()> {
    let fix = "install Go 1.26 or later from https://go.dev/dl and put it on PATH, \
               or copy a finished cache directory from another machine";
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir(module)
        .output()
        .with_context(|| format!("the tools are built with Go, which does not run here; {fix}"))?;
    if !output.status.success() {
        bail!("the Go on PATH is too old: {}; {fix}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::recipe::IMAGES;
    use super::*;

    #[test]
    fn a_finished_cache_is_used_without_a_compiler() {
        let cache = tempfile::tempdir().unwrap();
        let directory = cache.path().join(IMAGES.key());
        fs::create_dir(&directory).unwrap();
        for name in IMAGES.yields {
            fs::write(directory.join(name), "").unwrap();
        }
        assert_eq!(ensure(cache.path(), &IMAGES).unwrap(), (directory, Duration::ZERO));
    }
}
