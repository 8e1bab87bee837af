//! BFDProfiles.

use metallb_core::config::{BfdInterval, BfdProfile, DetectMultiplier, MinimumTtl};
use metallb_core::refusal::{AnyRefusal, ConfigRefusal, Kind};

use super::faults::{Faults, read};
use super::{Objects, Parsed};
use crate::{BFDProfile, BFDProfileSpec};

pub(super) fn parse_all(objects: &Objects, parsed: &mut Parsed) {
    for (name, stored) in &objects.bfd_profiles {
        match read(stored, one) {
            Ok(profile) => {
                parsed.config.bfd_profiles.insert(name.as_str().into(), profile);
            }
            Err(refusals) => parsed.refuse_all(Kind::BfdProfile, name, refusals),
        }
    }
}

fn one(object: &BFDProfile) -> Result<BfdProfile, Vec<ConfigRefusal>> {
    let BFDProfileSpec {
        receive_interval,
        transmit_interval,
        detect_multiplier,
        echo_interval,
        echo_mode,
        passive_mode,
        minimum_ttl,
    } = &object.spec;
    let mut faults = Faults::default();
    let mut interval = |field, value: &Option<u32>, default: BfdInterval| {
        let read =
            number(field, *value, default, BfdInterval::from_millis, (BfdInterval::MIN, BfdInterval::MAX));
        faults.take(read).unwrap_or(default)
    };
    let default = BfdProfile::default();
    let receive_interval = interval("spec.receiveInterval", receive_interval, default.receive_interval);
    let transmit_interval = interval("spec.transmitInterval", transmit_interval, default.transmit_interval);
    let echo_interval = interval("spec.echoInterval", echo_interval, default.echo_interval);
    let bounds = (DetectMultiplier::MIN, DetectMultiplier::MAX);
    let detect_multiplier = faults.take(number(
        "spec.detectMultiplier",
        *detect_multiplier,
        default.detect_multiplier,
        DetectMultiplier::new,
        bounds,
    ));
    let bounds = (MinimumTtl::MIN, MinimumTtl::MAX);
    let minimum_ttl =
        faults.take(number("spec.minimumTtl", *minimum_ttl, default.minimum_ttl, MinimumTtl::new, bounds));
    faults.unless(detect_multiplier.zip(minimum_ttl).map(|(detect_multiplier, minimum_ttl)| BfdProfile {
        receive_interval,
        transmit_interval,
        detect_multiplier,
        echo_interval,
        echo_mode: echo_mode.unwrap_or_default(),
        passive_mode: passive_mode.unwrap_or_default(),
        minimum_ttl,
    }))
}

fn number<T>(
    field: &'static str,
    value: Option<u32>,
    default: T,
    new: impl FnOnce(u32) -> Option<T>,
    (min, max): (u32, u32),
) -> Result<T, AnyRefusal> {
    let Some(value) = value else { return Ok(default) };
    let (value, min, max) = (value, i64::from(min), i64::from(max));
    new(value).ok_or(AnyRefusal::OutOfRange { field, value: i64::from(value), min, max })
}
