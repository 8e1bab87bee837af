//! Short commands whose output is wanted. What keeps running is in [`crate::process`].

use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// What a command said and how it ended.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub struct Outcome {
    /// The command, for error messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Outcome {
    /// What it printed, without the last line break, if it succeeded.
    pub fn success(self) -> Result<String> {
        if !self.status.success() {
            let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
            bail!("`{}` failed ({}): {}", self.command, self.status, said.trim());
        }
        let mut stdout = self.stdout;
        stdout.truncate(stdout.trim_end_matches('\n').len());
        Ok(stdout)
    }

    /// Whether it succeeded.
    pub fn is_success(&self) -> bool {
        self.status.success()
    }
}

/// Runs a command, given word by word, to its end, also when it fails: [`Outcome::success`] turns that into an error.
pub async fn run<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Result<Outcome> {
    let mut words = words.into_iter();
    let program = words.next().context("there is no command to run")?;
    let mut command = Command::new(program);
    command.args(words);
    output(command).await
}

/// Runs a command to its end. It ends early if the caller stops waiting.
pub(crate) async fn output(command: Command) -> Result<Outcome> {
    output_with_input(command, "").await
}

/// The same, fed with some text.
pub(crate) async fn output_with_input(mut command: Command, input: &str) -> Result<Outcome> {
    let shown = show(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("run `{shown}`"))?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program may end without reading its input; its status says whether that was right.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    let output = output.with_context(|| format!("run `{shown}`"))?;
    Ok(Outcome {
        command: shown,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn show(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_names_the_command_and_its_complaint() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no >&2; exit 3"]);
        let error = output(command).await.unwrap().success().unwrap_err().to_string();
        assert_eq!(error, "`sh -c echo no >&2; exit 3` failed (exit status: 3): no");
    }

    #[tokio::test]
    async fn input_reaches_the_command() {
        let outcome = output_with_input(Command::new("cat"), "hello\n").await.unwrap();
        assert_eq!(outcome.success().unwrap(), "hello");
    }
}
