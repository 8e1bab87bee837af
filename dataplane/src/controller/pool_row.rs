//! An IPAddressPool, read as what the controller writes about it and how long it keeps addresses back.
//!
//! Not here: its addresses, which are configuration.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use metallb_core::ipam::{Retention, Usage};
use metallb_crds::{IPAddressPool, IPAddressPoolStatus};
use metallb_process::watch::Read;

/// For how long the address of a deleted service is kept for a service of the same name.
const RESERVE_FOR: &str = "metallb.io/reserve-for";
/// For how long an address that was given up is not chosen for another service.
const QUARANTINE: &str = "metallb.io/quarantine";

/// A pool as the ledger keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolRow {
    /// Its status; `None` when it has none that can be read.
    pub status: Option<IPAddressPoolStatus>,
    /// For how long it keeps addresses back.
    pub retention: Retention,
    /// What is wrong with the annotations that say so.
    pub problems: Vec<String>,
    /// For events.
    pub reference: ObjectReference,
}

impl PoolRow {
    /// What matters of a pool, whether it can be read or not.
    pub fn of(read: &Read<IPAddressPool>) -> Self {
        let (metadata, status) = match read {
            Ok(pool) => (&pool.metadata, pool.status.clone()),
            Err(invalid) => (&invalid.metadata, None),
        };
        let mut problems = Vec::new();
        let mut seconds = |key: &str| {
            seconds(metadata, key).unwrap_or_else(|problem| {
                problems.push(problem);
                0
            })
        };
        let retention = Retention { reserve_for: seconds(RESERVE_FOR), quarantine: seconds(QUARANTINE) };
        let reference = ObjectReference {
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            ..IPAddressPool::default().object_ref(&())
        };
        Self { status, retention, problems, reference }
    }
}

fn seconds(metadata: &ObjectMeta, key: &str) -> Result<i64, String> {
    let Some(text) = metadata.annotations.as_ref().and_then(|annotations| annotations.get(key)) else {
        return Ok(0);
    };
    duration(text).ok_or_else(|| {
        format!("the annotation {key} is {text:?}, which is no duration, and has no effect; write it like 24h, 1h30m or 90s")
    })
}

/// A duration as Go writes it, in whole hours, minutes and seconds: `24h`, `1h30m`, `0`. In seconds.
fn duration(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut sum, mut rest) = (0_i64, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(end);
        let unit = after.chars().next()?;
        let seconds = match unit {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(seconds)?)?;
        rest = after.get(unit.len_utf8()..)?;
    }
    (!text.is_empty()).then_some(sum)
}

/// What the status of a pool says when this much of it is used. Numbers that do not fit are the largest that do.
pub fn status(usage: &Usage) -> IPAddressPoolStatus {
    let clamp = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
    let available = usage.available();
    IPAddressPoolStatus {
        assigned_ipv4: clamp(usage.in_use.0),
        assigned_ipv6: clamp(usage.in_use.1),
        available_ipv4: clamp(available.0),
        available_ipv6: clamp(available.1),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::error_boundary::InvalidObject;
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_whole_hours_minutes_and_seconds() {
        for (text, expected) in [
            ("24h", Some(86_400)),
            ("1h30m", Some(5400)),
            ("90s", Some(90)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("h", None),
            ("-5m", None),
            ("1.5h", None),
            ("7d", None),
            ("5µ", None),
            ("9223372036854775807h", None),
        ] {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_pool_says_for_how_long_it_keeps_addresses_back_also_when_its_spec_is_unreadable() {
        let metadata: ObjectMeta = serde_json::from_value(json!({
            "name": "lab",
            "annotations": { "metallb.io/reserve-for": "24h", "metallb.io/quarantine": "soon" },
        }))
        .unwrap();
        let row = PoolRow::of(&Err(InvalidObject { error: "x".into(), metadata }));
        assert_eq!(row.retention, Retention { reserve_for: 86_400, quarantine: 0 });
        assert!(row.problems[0].contains("metallb.io/quarantine") && row.problems[0].contains("\"soon\""));
        assert_eq!(row.reference.kind.as_deref(), Some("IPAddressPool"));
    }

    #[test]
    fn counters_are_never_negative_and_saturate() {
        let usage = Usage { capacity: (1, 1 << 100), in_use: (2, 7), kept_back: (1, 0) };
        let expected = IPAddressPoolStatus {
            assigned_ipv4: 2,
            assigned_ipv6: 7,
            available_ipv4: 0,
            available_ipv6: i64::MAX,
        };
        assert_eq!(status(&usage), expected);
    }
}
