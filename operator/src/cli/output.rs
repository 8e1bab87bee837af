//! Answers, for people and for programs.

use std::process::ExitCode;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::args::Format;

/// What a command answers.
pub(super) trait Answer: Serialize {
    /// For people.
    fn text(&self) -> String;

    /// For people with a wide screen.
    fn wide(&self) -> String {
        self.text()
    }

    /// The status of the process.
    fn exit(&self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

/// The answer as asked for.
pub(super) fn render(answer: &impl Answer, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Table => answer.text(),
        Format::Wide => answer.wide(),
        Format::Json => serde_json::to_string_pretty(answer)? + "\n",
    })
}

/// Rows under their headings, in columns; nothing when there is no row. The last column may be long.
pub(super) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    if rows.is_empty() {
        return String::new();
    }
    let all = || std::iter::once(headings.map(str::to_owned)).chain(rows.iter().cloned());
    let mut widths = [0; N];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in all() {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
        text.push('\n');
    }
    text
}

/// As kubectl tells ages. What is in the future, by another clock, is now.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        format!("{minutes}m{}s", seconds % 60)
    } else if hours < 3 {
        format!("{minutes}m")
    } else if hours < 8 {
        format!("{hours}h{}m", minutes % 60)
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        format!("{days}d{}h", hours % 24)
    } else {
        format!("{days}d")
    }
}

/// Text for a column: a dash where there is none.
pub(super) fn or_dash(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
}
