//! What admission would refuse.

use std::process::ExitCode;

use k8s_openapi::api::core::v1::ConfigMap;
use metallb_core::refusal::{Effect, ObjectRefusal, Refusal};
use metallb_crds::MetalLB;
use metallb_crds::admission::{Change, Object, review};
use metallb_crds::cluster::bgp_extras;
use metallb_crds::config::{Objects, parse};
use metallb_crds::schema::{UnknownField, unknown_fields};
use serde::Serialize;
use serde_json::Value;

use super::args::Common;
use super::documents::Document;
use super::inventory::{Inventory, Read, Surrounding, read};
use super::output::{Answer, table};
use crate::wanted::{SpecRefusal, Wanted};

/// The verdict on some manifests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// Nothing was refused.
    pub valid: bool,
    /// Objects that were looked at.
    pub objects: usize,
    /// What was found, in the order of the files.
    pub findings: Vec<Finding>,
}

/// Something that is wrong with an object.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    /// The object, as `Kind name`.
    pub object: String,
    /// Where it stands.
    pub source: String,
    /// Admission denies it; otherwise it only warns.
    pub denied: bool,
    /// The code of the refusal.
    pub code: String,
    /// What is the case.
    pub sentence: String,
    /// What to do about it.
    pub fix: String,
}

/// Judges all documents together: references from one to another count. `external_frrk8s_namespace` is what the operator
/// takes where a `MetalLB` names none.
pub(super) fn validate(
    documents: &[Document],
    external_frrk8s_namespace: Option<&str>,
    common: &Common,
) -> anyhow::Result<Verdict> {
    let inventory = Inventory::of(documents, &common.namespace)?;
    let mut findings = Vec::new();
    let mut objects = 0;
    let parsed = parse(&inventory.objects);
    for document in documents {
        let source = &document.source;
        match read(document, &common.namespace)? {
            Read::Configuration(object) => {
                objects += 1;
                let reference = object.reference();
                findings.extend(unknown(document, &reference.to_string()));
                if object.metadata().namespace.as_deref() == Some(common.namespace.as_str()) {
                    let ours = parsed.refusals.iter().filter(|refusal| refusal.object == reference);
                    findings.extend(ours.map(|refusal| {
                        Finding::of(
                            reference.to_string(),
                            source,
                            refusal.effect() == Effect::SetsAside,
                            &refusal.refusal,
                        )
                    }));
                } else {
                    findings.extend(misplaced(*object, source, &common.namespace));
                }
            }
            Read::MetalLB(object) => {
                objects += 1;
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let named = format!("MetalLB {name}");
                findings.extend(unknown(document, &named));
                let refusals = metallb(&object, external_frrk8s_namespace);
                findings
                    .extend(refusals.iter().map(|refusal| Finding::of(named.clone(), source, true, refusal)));
            }
            Read::Surroundings(surrounding) => {
                if let Surrounding::ConfigMap(extras) = *surrounding {
                    objects += 1;
                    findings.extend(raw_configuration(&extras, source, &common.namespace));
                }
            }
            Read::BgpNodeStatus(..) | Read::Other => {}
        }
    }
    let valid = findings.iter().all(|finding| !finding.denied);
    Ok(Verdict { valid, objects, findings })
}

/// An object outside of MetalLB's namespace, as admission answers it.
fn misplaced(object: Object, source: &str, namespace: &str) -> Vec<Finding> {
    let named = object.reference().to_string();
    let decision = review(&Objects::default(), Change::Create(object), namespace);
    let finding = |denial: String| Finding {
        object: named.clone(),
        source: source.to_owned(),
        denied: true,
        code: "wrong-namespace".to_owned(),
        sentence: denial,
        fix: format!("set metadata.namespace to {namespace}"),
    };
    decision.denials.into_iter().map(finding).collect()
}

/// Fields that the API server would drop. As there, that is no reason to refuse the object.
fn unknown(document: &Document, named: &str) -> Vec<Finding> {
    let finding = |UnknownField { path, known }| Finding {
        object: named.to_owned(),
        source: document.source.clone(),
        denied: false,
        code: "unknown-field".to_owned(),
        sentence: format!("there is no field {path}: the API server drops it"),
        fix: format!("remove it, or correct its name to one of {}", known.join(", ")),
    };
    unknown_fields(&document.object).into_iter().map(finding).collect()
}

/// Raw configuration for FRR. No webhook sees it; speakers tell it when it is there.
fn raw_configuration(extras: &ConfigMap, source: &str, namespace: &str) -> Option<Finding> {
    let is_ours = extras.metadata.namespace.as_deref().is_none_or(|it| it == namespace);
    let refusal = bgp_extras::refusal(extras).filter(|_| is_ours)?;
    Some(Finding::of(format!("ConfigMap {}", bgp_extras::NAME), source, false, &refusal))
}

/// Why a `MetalLB` cannot be acted on.
pub(super) fn metallb(object: &Value, external_frrk8s_namespace: Option<&str>) -> Vec<SpecRefusal> {
    match metallb_crds::read::<MetalLB>(object) {
        Ok(object) => Wanted::check(&object.spec, external_frrk8s_namespace).err().unwrap_or_default(),
        Err(malformed) => vec![SpecRefusal::Unreadable { error: malformed.to_string() }],
    }
}

impl Finding {
    /// About an object whose place does not matter.
    pub(super) fn of_object(refusal: &ObjectRefusal) -> Self {
        Self::of(refusal.object.to_string(), "", refusal.effect() == Effect::SetsAside, &refusal.refusal)
    }

    fn of(object: String, source: &str, denied: bool, refusal: &impl Refusal) -> Self {
        Self {
            object,
            source: source.to_owned(),
            denied,
            code: refusal.code().to_owned(),
            sentence: refusal.sentence(),
            fix: refusal.fix(),
        }
    }
}

impl Answer for Verdict {
    fn text(&self) -> String {
        let rows = self.findings.iter().map(|finding| {
            let verdict = if finding.denied { "refused" } else { "warning" };
            let text = format!("{}; {}", finding.sentence, finding.fix);
            [verdict.to_owned(), finding.object.clone(), finding.source.clone(), finding.code.clone(), text]
        });
        let text = table(["VERDICT", "OBJECT", "WHERE", "CODE", "WHY, AND WHAT TO DO"], rows);
        let refused = self.findings.iter().filter(|finding| finding.denied).count();
        let warnings = self.findings.len() - refused;
        if self.objects == 0 {
            return text + "nothing was checked: there is no object of metallb.io\n";
        }
        text + &format!("objects: {}, refusals: {refused}, warnings: {warnings}\n", self.objects)
    }

    fn exit(&self) -> ExitCode {
        if self.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
