//! Tidying up after this process, however it ends.

use std::ffi::OsStr;
use std::io::{PipeWriter, pipe};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A process that waits until nobody holds the other end of a pipe any more, and then does its work. In a session of
/// its own it outlives a Ctrl-C; a kill of this process closes the pipe like everything else.
#[derive(Debug)]
pub(crate) struct Janitor(Child);

impl Janitor {
    /// `work` is a line of shell with these arguments. The janitor works when the given end, and every copy handed to
    /// other processes, is closed.
    pub(crate) fn engage<S: AsRef<OsStr>>(
        work: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<(Self, PipeWriter)> {
        let (reader, writer) = pipe().context("make a pipe")?;
        let script = format!("cat; {work}");
        let mut command = Command::new("setsid");
        command.args(["--", "sh", "-c", &script, "janitor"]).args(args);
        command.stdin(reader).stdout(Stdio::null()).stderr(Stdio::null());
        Ok((Self(command.spawn().context("start the janitor")?), writer))
    }

    /// Waits until it has done its work. Nothing depends on its success.
    pub(crate) fn wait(mut self) {
        let _ = self.0.wait();
    }
}
