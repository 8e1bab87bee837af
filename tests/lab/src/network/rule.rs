//! What happens to packets on their way: rules of nftables that hold as long as their value lives.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use super::host::Host;
use super::site::run;

static RULES: AtomicU32 = AtomicU32::new(0);

/// A rule in force. Dropping it lifts it.
#[derive(Debug)]
#[must_use = "the rule is lifted when this is dropped"]
pub struct Rule {
    host: Host,
    table: String,
}

/// Where on a host a rule looks at packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Those for the host itself.
    Input,
    /// Those it sends.
    Output,
    /// Those it passes on.
    Forward,
}

impl Rule {
    pub(super) fn set(host: &Host, hook: Hook, text: &str) -> Result<Self> {
        let table = format!("rule{}", RULES.fetch_add(1, Ordering::Relaxed));
        let hook = match hook {
            Hook::Input => "input",
            Hook::Output => "output",
            Hook::Forward => "forward",
        };
        let rule = Self { host: host.clone(), table };
        let table = &rule.table;
        rule.nft(&format!(
            "table inet {table} {{ chain c {{ type filter hook {hook} priority 0; {text}\n}}\n}}"
        ))
        .with_context(|| format!("set the rule {text:?} on {}", host.name()))?;
        Ok(rule)
    }

    /// Packets that came to the `counter` of its text.
    pub fn packets(&self) -> Result<u64> {
        let listed = self.nft(&format!("list table inet {}", self.table))?;
        let counted = listed.split_once("counter packets ").and_then(|(_, rest)| rest.split(' ').next());
        counted.and_then(|count| count.parse().ok()).context("the rule has no counter")
    }

    fn nft(&self, text: &str) -> Result<String> {
        run("ip", &["netns", "exec", self.host.namespace(), "nft", text])
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        // One that was never set is gone already.
        let _ = self.nft(&format!("delete table inet {}", self.table));
    }
}
