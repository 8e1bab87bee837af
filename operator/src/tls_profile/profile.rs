//! From a profile to the settings of our servers. Pure.
//!
//! Profiles name cipher suites as OpenSSL does. Of these our servers have those that Mozilla recommends for TLS 1.2:
//! ECDHE with AES-GCM or ChaCha20-Poly1305. A profile is free to name more; what is not there is not offered. The
//! suites of TLS 1.3 are always on, as in Go.

use kube::CustomResource;
use metallb_process::serve::tls::TlsFlags;
use serde::{Deserialize, Serialize};

/// As much of OpenShift's APIServer as is read.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "config.openshift.io",
    version = "v1",
    kind = "APIServer",
    plural = "apiservers",
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct APIServerSpec {
    /// None is the same as Intermediate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_security_profile: Option<TlsSecurityProfile>,
}

/// What is asked of everybody's TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSecurityProfile {
    /// Old, Intermediate, Modern or Custom.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// What Custom is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomProfile>,
}

/// A profile of the user's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomProfile {
    /// By their OpenSSL names. None: all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphers: Option<Vec<String>>,
    /// The oldest version.
    #[serde(rename = "minTLSVersion", default, skip_serializing_if = "Option::is_none")]
    pub min_tls_version: Option<String>,
}

/// Why a profile cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProfile {
    /// Custom, and nothing more.
    #[error(
        "type is Custom and custom is not there; set custom.minTLSVersion and custom.ciphers, or another type"
    )]
    NoCustom,
    /// A version that nobody knows.
    #[error("custom.minTLSVersion is {0:?}; set VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13")]
    UnknownVersion(String),
    /// Suites, and none that is here.
    #[error(
        "custom.ciphers names none that MetalLB has ({0}); add ECDHE-RSA-AES128-GCM-SHA256 or set VersionTLS13"
    )]
    NoCipherSuite(String),
    /// The API server does not give it.
    #[error(
        "the API server has not let it be read for a minute; may the operator list and watch APIServers?"
    )]
    Withheld,
    /// The object cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

const TLS12: &str = "VersionTLS12";
const TLS13: &str = "VersionTLS13";

/// OpenSSL's names of the suites for TLS 1.2 that our servers have, and IANA's.
const SUITES: [(&str, &str); 6] = [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
];
/// Those of TLS 1.3, which both call the same.
const SUITES_OF_13: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// The settings of our servers under `profile`.
pub fn flags(profile: Option<&TlsSecurityProfile>) -> Result<TlsFlags, BadProfile> {
    let Some(TlsSecurityProfile { type_, custom }) = profile else { return Ok(with_all_suites(TLS12)) };
    match type_.as_deref() {
        // Of the suites that Old names beyond those of Intermediate, and of its versions 1.0 and 1.1, none is here.
        Some("Old") => Ok(with_all_suites("VersionTLS10")),
        Some("Modern") => Ok(of_version(TLS13)),
        Some("Custom") => of_custom(custom.as_ref().ok_or(BadProfile::NoCustom)?),
        // A type that is newer than this is taken for the default, as everybody's.
        Some(_) | None => Ok(with_all_suites(TLS12)),
    }
}

/// IANA's name of a suite for TLS 1.2 that our servers have. Some write these in profiles, too.
pub fn iana(name: &str) -> Option<&'static str> {
    SUITES.iter().find(|(openssl, iana)| name == *openssl || name == *iana).map(|(_, iana)| *iana)
}

fn of_custom(custom: &CustomProfile) -> Result<TlsFlags, BadProfile> {
    let CustomProfile { ciphers, min_tls_version } = custom;
    let version = min_tls_version.as_deref().filter(|version| !version.is_empty()).unwrap_or(TLS12);
    if !["VersionTLS10", "VersionTLS11", TLS12, TLS13].contains(&version) {
        return Err(BadProfile::UnknownVersion(version.to_owned()));
    }
    let ciphers = ciphers.as_deref().unwrap_or_default();
    let chosen: Vec<&str> = ciphers.iter().filter_map(|name| iana(name)).collect();
    let names_13 = ciphers.iter().any(|name| SUITES_OF_13.contains(&name.as_str()));
    match (version, chosen.is_empty()) {
        (TLS13, _) => Ok(of_version(TLS13)),
        (_, false) => Ok(TlsFlags { tls_cipher_suites: chosen.join(","), ..of_version(version) }),
        (_, true) if ciphers.is_empty() => Ok(of_version(version)),
        // With no suite for TLS 1.2 that is not spoken, whatever the version says.
        (_, true) if names_13 => Ok(of_version(TLS13)),
        (_, true) => Err(BadProfile::NoCipherSuite(ciphers.join(", "))),
    }
}

fn with_all_suites(version: &str) -> TlsFlags {
    TlsFlags { tls_cipher_suites: SUITES.map(|(_, iana)| iana).join(","), ..of_version(version) }
}

fn of_version(version: &str) -> TlsFlags {
    TlsFlags { tls_min_version: version.to_owned(), ..TlsFlags::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(profile: &Value) -> Result<(String, String), BadProfile> {
        let spec = json!({ "tlsSecurityProfile": profile });
        let spec: APIServerSpec = serde_json::from_value(spec).unwrap();
        let flags = flags(spec.tls_security_profile.as_ref())?;
        flags.options().expect("our servers start with it");
        assert_eq!(flags.tls_curve_preferences, "", "profiles do not speak of groups");
        Ok((flags.tls_min_version, flags.tls_cipher_suites))
    }

    fn custom(version: &str, ciphers: &[&str]) -> Result<(String, String), BadProfile> {
        of(&json!({ "type": "Custom", "custom": { "minTLSVersion": version, "ciphers": ciphers } }))
    }

    #[test]
    fn intermediate_is_tls_12_with_names_of_iana_and_is_what_no_profile_means() {
        let (version, suites) = of(&json!({ "type": "Intermediate", "intermediate": {} })).unwrap();
        assert_eq!(version, "VersionTLS12");
        assert!(
            suites.split(',').count() == 6 && suites.split(',').all(|name| name.starts_with("TLS_ECDHE_"))
        );
        for same in [json!(null), json!({}), json!({ "type": "" }), json!({ "type": "NewerThanThis" })] {
            assert_eq!(of(&same).unwrap(), (version.clone(), suites.clone()), "{same}");
        }
    }

    #[test]
    fn modern_is_tls_13_alone_and_old_asks_for_no_more_than_there_is() {
        assert_eq!(of(&json!({ "type": "Modern" })).unwrap(), ("VersionTLS13".into(), String::new()));
        let (version, suites) = of(&json!({ "type": "Old", "old": null })).unwrap();
        assert_eq!((version.as_str(), suites.split(',').count()), ("VersionTLS10", 6));
    }

    #[test]
    fn ciphers_of_ones_own_are_translated_in_their_order() {
        let ciphers = ["ECDHE-RSA-AES256-GCM-SHA384", "AES128-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256"];
        let expected = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
        assert_eq!(custom("VersionTLS11", &ciphers).unwrap(), ("VersionTLS11".into(), expected.into()));
        assert_eq!(
            custom("VersionTLS12", &[expected.split(',').next().unwrap()]).unwrap().1,
            &expected[..37]
        );
    }

    #[test]
    fn without_ciphers_there_is_no_choice_and_with_those_of_tls_13_alone_nothing_older_is_spoken() {
        assert_eq!(custom("VersionTLS12", &[]).unwrap(), ("VersionTLS12".into(), String::new()));
        let only = custom("VersionTLS12", &["TLS_AES_128_GCM_SHA256", "AES128-SHA"]).unwrap();
        assert_eq!(only, ("VersionTLS13".into(), String::new()));
        let void = custom("VersionTLS13", &["ECDHE-RSA-AES256-GCM-SHA384"]).unwrap();
        assert_eq!(void, ("VersionTLS13".into(), String::new()));
    }

    #[test]
    fn a_profile_that_cannot_be_followed_is_refused_with_what_would_help() {
        assert_eq!(of(&json!({ "type": "Custom" })), Err(BadProfile::NoCustom));
        assert_eq!(custom("TLS1.2", &[]), Err(BadProfile::UnknownVersion("TLS1.2".into())));
        let old = custom("VersionTLS12", &["AES128-SHA", "DES-CBC3-SHA"]);
        assert_eq!(old, Err(BadProfile::NoCipherSuite("AES128-SHA, DES-CBC3-SHA".into())));
    }

    #[test]
    fn every_name_is_of_a_suite_that_our_servers_have() {
        for (openssl, iana_name) in SUITES {
            assert_eq!(iana(openssl), Some(iana_name));
            let flags = TlsFlags { tls_cipher_suites: iana_name.to_owned(), ..of_version(TLS12) };
            flags.options().unwrap();
        }
    }
}
