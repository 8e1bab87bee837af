//! Upstream's settings of memberlist: `--ml-wan-config` and `/etc/metallb/memberlist/config.json`. What they say of probes
//! becomes the timing of our heartbeats; the rest has no meaning here, and whoever sets it is told.
//!
//! | | interval | dead after |
//! |---|---|---|
//! | without either | 100 ms | 300 ms |
//! | `--ml-wan-config` | 500 ms | 1.5 s |
//! | `config.json` | a tenth of ProbeInterval | as many intervals as SuspicionMult less one, but half of ProbeTimeout at least |
//!
//! As upstream, the file counts instead of the flag. With memberlist's own values for a LAN it comes to the first line.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use metallb_core::refusal::HeartbeatRefusal;
use metallb_protocols::liveness::Timing;
use serde_json::{Map, Value};

/// Where the ConfigMap `metallb-memberlist-config` is mounted.
pub const FILE: &str = "/etc/metallb/memberlist/config.json";

/// What heartbeats are to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often, and how long silence may last.
    pub timing: Timing,
    /// What was asked for and has no meaning here.
    pub refusal: Option<HeartbeatRefusal>,
}

/// More often than this is a burden, and less often than that no detection.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(10));
/// Fewer heartbeats than this may get lost without harm.
const LEAST_MISSED: u32 = 3;
const MOST_MISSED: u32 = 30;

const PROBE_INTERVAL: &str = "ProbeInterval";
const PROBE_TIMEOUT: &str = "ProbeTimeout";
const SUSPICION: &str = "SuspicionMult";

/// What has no meaning here, and memberlist's own value for it: asking for that asks for nothing.
const MEANINGLESS: [(&str, Own); 16] = [
    ("TCPTimeout", Own::Seconds(10)),
    ("IndirectChecks", Own::Number(3)),
    ("RetransmitMult", Own::Number(4)),
    ("SuspicionMaxTimeoutMult", Own::Number(6)),
    ("PushPullInterval", Own::Seconds(30)),
    ("DisableTcpPings", Own::Switch(false)),
    ("AwarenessMaxMultiplier", Own::Number(8)),
    ("GossipNodes", Own::Number(3)),
    ("GossipInterval", Own::Millis(200)),
    ("GossipToTheDeadTime", Own::Seconds(30)),
    ("GossipVerifyIncoming", Own::Switch(true)),
    ("GossipVerifyOutgoing", Own::Switch(true)),
    ("EnableCompression", Own::Switch(true)),
    ("HandoffQueueDepth", Own::Number(1024)),
    ("UDPBufferSize", Own::Number(1400)),
    ("QueueCheckInterval", Own::Seconds(30)),
];

#[derive(Clone, Copy, Debug)]
enum Own {
    Seconds(u64),
    Millis(u64),
    Number(u64),
    Switch(bool),
}

impl Own {
    fn is(self, value: &Value) -> bool {
        let lasts = |own| value.as_str().and_then(duration) == Some(own);
        match self {
            Self::Seconds(own) => lasts(Duration::from_secs(own)),
            Self::Millis(own) => lasts(Duration::from_millis(own)),
            Self::Number(own) => value.as_u64() == Some(own),
            Self::Switch(own) => value.as_bool() == Some(own),
        }
    }
}

/// Reads the file, if there is one. One that cannot be understood is an error: nodes that beat at other paces than they
/// are meant to take each other for dead, or too long for alive.
pub fn read(path: &Path, wan: bool) -> anyhow::Result<Settings> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            parse(&text).with_context(|| format!("{} (ConfigMap metallb-memberlist-config)", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Settings { timing: if wan { Timing::WAN } else { Timing::LAN }, refusal: None })
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn parse(text: &str) -> anyhow::Result<Settings> {
    let file: Map<String, Value> = serde_json::from_str(text).context("is no JSON object")?;
    let interval = of(&file, PROBE_INTERVAL, Duration::from_secs(1))?;
    let timeout = of(&file, PROBE_TIMEOUT, Duration::from_millis(500))?;
    let suspicion = match file.get(SUSPICION) {
        None => 4,
        Some(value) => value
            .as_u64()
            .with_context(|| format!("{SUSPICION} is {value}, and should be a number, such as 4"))?,
    };
    let interval = (interval / 10).clamp(INTERVAL.0, INTERVAL.1);
    let missed = u32::try_from(suspicion).unwrap_or(u32::MAX).saturating_sub(1);
    let silence = interval * missed.clamp(LEAST_MISSED, MOST_MISSED);
    let timing = Timing { interval, dead_after: silence.max((timeout / 2).min(interval * MOST_MISSED)) };
    let names: Vec<String> =
        file.iter().filter(|(name, value)| !is_default(name, value)).map(|(name, _)| name.clone()).collect();
    let refusal = (!names.is_empty()).then_some(HeartbeatRefusal::Settings { names });
    Ok(Settings { timing, refusal })
}

/// Whether it has a meaning here, or asks for nothing.
fn is_default(name: &str, value: &Value) -> bool {
    [PROBE_INTERVAL, PROBE_TIMEOUT, SUSPICION].contains(&name)
        || MEANINGLESS.iter().any(|(known, own)| *known == name && own.is(value))
}

fn of(file: &Map<String, Value>, name: &str, default: Duration) -> anyhow::Result<Duration> {
    let Some(value) = file.get(name) else { return Ok(default) };
    match value.as_str().and_then(duration) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        Some(_) | None => bail!("{name} is {value}, and should be a time as Go writes it, such as \"500ms\""),
    }
}

/// A time as Go writes it: `1m30s`, `1.5h`, `500ms`. None that is negative.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = Some(text.strip_prefix('+').unwrap_or(text)).filter(|rest| !rest.is_empty())?;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) =
            after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// memberlist's own values for a LAN, as upstream's documentation gives them to be changed.
    const LAN: &str = r#"{
        "TCPTimeout": "10s", "IndirectChecks": 3, "RetransmitMult": 4, "SuspicionMult": 4, "SuspicionMaxTimeoutMult": 6,
        "PushPullInterval": "30s", "ProbeTimeout": "500ms", "ProbeInterval": "1s", "DisableTcpPings": false,
        "AwarenessMaxMultiplier": 8, "GossipInterval": "200ms", "GossipNodes": 3, "GossipToTheDeadTime": "30s",
        "GossipVerifyIncoming": true, "GossipVerifyOutgoing": true, "EnableCompression": true,
        "HandoffQueueDepth": 1024, "UDPBufferSize": 1400, "QueueCheckInterval": "30s"
    }"#;

    fn millis(settings: &Settings) -> (u128, u128) {
        (settings.timing.interval.as_millis(), settings.timing.dead_after.as_millis())
    }

    #[test]
    fn memberlists_own_values_change_nothing_and_ask_for_nothing() {
        assert_eq!(parse(LAN).unwrap(), Settings { timing: Timing::LAN, refusal: None });
        assert_eq!(parse("{}").unwrap(), Settings { timing: Timing::LAN, refusal: None });
    }

    #[test]
    fn without_a_file_the_flag_decides() {
        let missing = Path::new("/no/such/file");
        assert_eq!(read(missing, false).unwrap().timing, Timing::LAN);
        assert_eq!(read(missing, true).unwrap().timing, Timing::WAN);
    }

    #[test]
    fn a_file_counts_instead_of_the_flag() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        std::fs::write(&file, LAN).unwrap();
        assert_eq!(read(&file, true).unwrap().timing, Timing::LAN);
        std::fs::write(&file, "{").unwrap();
        let error = format!("{:#}", read(&file, true).unwrap_err());
        assert!(error.contains("metallb-memberlist-config") && error.contains("JSON"), "{error}");
    }

    #[test]
    fn probes_say_how_often_to_beat_and_when_silence_is_death() {
        for (file, expected) in [
            (r#"{ "ProbeInterval": "5s", "ProbeTimeout": "3s", "SuspicionMult": 6 }"#, (500, 2500)),
            (r#"{ "ProbeInterval": "2s" }"#, (200, 600)),
            (r#"{ "ProbeTimeout": "2s" }"#, (100, 1000)),
            (r#"{ "SuspicionMult": 10 }"#, (100, 900)),
            (r#"{ "SuspicionMult": 0, "ProbeTimeout": "1ms" }"#, (100, 300)),
            (r#"{ "ProbeInterval": "1ms", "ProbeTimeout": "1ns" }"#, (20, 60)),
            (r#"{ "ProbeInterval": "24h", "SuspicionMult": 99999999999 }"#, (10_000, 300_000)),
            (r#"{ "ProbeTimeout": "24h" }"#, (100, 3000)),
        ] {
            assert_eq!(millis(&parse(file).unwrap()), expected, "{file}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_named_when_it_is_not_memberlists_own_value() {
        let changed =
            LAN.replace("1400", "9000").replace("\"30s\", \"ProbeTimeout", "\"1m\", \"ProbeTimeout");
        let names = ["PushPullInterval", "UDPBufferSize"].map(str::to_owned).into();
        assert_eq!(parse(&changed).unwrap().refusal, Some(HeartbeatRefusal::Settings { names }));
        let unknown = parse(r#"{ "Gossip": 1 }"#).unwrap();
        assert_eq!(unknown.refusal, Some(HeartbeatRefusal::Settings { names: vec!["Gossip".to_owned()] }));
    }

    #[test]
    fn what_cannot_be_understood_is_an_error_that_names_it() {
        for (file, name) in [
            (r#"{ "ProbeInterval": "soon" }"#, PROBE_INTERVAL),
            (r#"{ "ProbeInterval": "0s" }"#, PROBE_INTERVAL),
            (r#"{ "ProbeInterval": "-1s" }"#, PROBE_INTERVAL),
            (r#"{ "ProbeTimeout": 7 }"#, PROBE_TIMEOUT),
            (r#"{ "SuspicionMult": "4" }"#, SUSPICION),
            ("[]", "JSON"),
        ] {
            let error = format!("{:#}", parse(file).unwrap_err());
            assert!(error.contains(name), "{file}: {error}");
        }
    }

    #[test]
    fn times_are_read_as_go_writes_them() {
        for (text, millis) in [
            ("0", Some(0)),
            ("1h", Some(3_600_000)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1500)),
            (".5s", Some(500)),
            ("500ms", Some(500)),
            ("2000us", Some(2)),
            ("2000µs", Some(2)),
            ("", None),
            ("5", None),
            ("s", None),
            ("1.2.3s", None),
            ("1 s", None),
            ("1d", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(duration(text).map(|read| read.as_millis()), millis, "{text:?}");
        }
    }
}
