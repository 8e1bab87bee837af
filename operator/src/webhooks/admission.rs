//! AdmissionReview: the question of the API server, and the answer.

use kube::Client;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use metallb_core::refusal::Kind;
use metallb_crds::admission::{Change, Decision, Edit, Object};
use serde_json::Value;

use super::gather::{self, CannotGather};
use super::metallb::Rules;
use super::paths;

/// Answers AdmissionReviews.
#[derive(Clone)]
pub struct Reviewer {
    /// To read what an edit is judged beside.
    pub client: Client,
    /// The namespace, and the rules for the `MetalLB` object.
    pub rules: Rules,
}

/// What a path is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Edits of that kind of the configuration.
    Configuration(Kind),
    /// Edits of the `MetalLB` object.
    MetalLb,
    /// Deletions of any kind of the configuration: whatever comes of them is only warned of.
    Deletions,
}

/// The body is no question that could be answered.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    /// It is no AdmissionReview.
    #[error("not an AdmissionReview: {0}")]
    NoReview(#[source] serde_json::Error),
    /// It holds no question.
    #[error("the AdmissionReview holds no request")]
    NoRequest,
    /// Neither an object nor an old one where the operation has one.
    #[error("the AdmissionReview about a {operation} of {resource} lacks the object")]
    NoObject {
        /// The operation.
        operation: String,
        /// The plural of the kind.
        resource: String,
    },
    /// A kind that is asked about elsewhere, or nowhere.
    #[error("{0} are not validated here")]
    OtherKind(String),
}

impl Reviewer {
    /// Answers `body`, which arrived at the path about `about`.
    pub async fn answer(
        &self,
        about: About,
        body: &[u8],
    ) -> Result<AdmissionReview<DynamicObject>, BadRequest> {
        let review: AdmissionReview<DynamicObject> =
            serde_json::from_slice(body).map_err(BadRequest::NoReview)?;
        let request: AdmissionRequest<DynamicObject> =
            review.try_into().map_err(|_| BadRequest::NoRequest)?;
        let response = AdmissionResponse::from(&request);
        let decided = match about {
            About::MetalLb => self.decide_metallb(&request)?,
            About::Configuration(kind) => self.decide(kind, &request).await?,
            About::Deletions => {
                let resource = &request.resource.resource;
                let kind = paths::kind_of(resource).ok_or_else(|| BadRequest::OtherKind(resource.clone()))?;
                self.decide(kind, &request).await?.map(only_warn)
            }
        };
        Ok(respond(response, &request, decided).into_review())
    }

    fn decide_metallb(
        &self,
        request: &AdmissionRequest<DynamicObject>,
    ) -> Result<Result<Decision, CannotGather>, BadRequest> {
        let (old, new) = (json(request.old_object.as_ref())?, json(request.object.as_ref())?);
        Ok(Ok(match request.operation {
            Operation::Create | Operation::Update => {
                self.rules.review(old.as_ref(), &new.ok_or_else(|| no_object(request))?)
            }
            Operation::Delete | Operation::Connect => Decision::default(),
        }))
    }

    async fn decide(
        &self,
        kind: Kind,
        request: &AdmissionRequest<DynamicObject>,
    ) -> Result<Result<Decision, CannotGather>, BadRequest> {
        let Some(change) = change(kind, request)? else { return Ok(Ok(Decision::default())) };
        let namespace = &self.rules.namespace;
        let objects = match gather::configuration(&self.client, namespace, kind).await {
            Ok(objects) => objects,
            Err(error) => return Ok(Err(error)),
        };
        let edit = Edit::of(&objects, change, namespace);
        let mut decision = edit.decide();
        if decision.denials.is_empty() && edit.changes_pools() {
            decision.warnings.extend(self.warn_of_services(&edit).await);
        }
        Ok(Ok(decision))
    }

    async fn warn_of_services(&self, edit: &Edit) -> Option<String> {
        match gather::running_services(&self.client).await {
            Ok(services) => edit.warn_of(&services),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(event = "servicesUnknown", error, "cannot say who loses an address");
                Some("whether services lose their address by this could not be found out in time".to_owned())
            }
        }
    }
}

/// What the request asks to change; `None`: nothing that is stored.
fn change(kind: Kind, request: &AdmissionRequest<DynamicObject>) -> Result<Option<Change>, BadRequest> {
    let object = |object: Option<&DynamicObject>| -> Result<Object, BadRequest> {
        let json = json(object)?.ok_or_else(|| no_object(request))?;
        Ok(Object::read(kind, &json))
    };
    let (old, new) = (request.old_object.as_ref(), request.object.as_ref());
    Ok(match request.operation {
        Operation::Create => Some(Change::Create(object(new)?)),
        Operation::Update => Some(Change::Update { old: object(old)?, new: object(new)? }),
        Operation::Delete => Some(Change::Delete(object(old)?)),
        Operation::Connect => None,
    })
}

fn json(object: Option<&DynamicObject>) -> Result<Option<Value>, BadRequest> {
    object.map(serde_json::to_value).transpose().map_err(BadRequest::NoReview)
}

fn no_object(request: &AdmissionRequest<DynamicObject>) -> BadRequest {
    BadRequest::NoObject {
        operation: format!("{:?}", request.operation).to_uppercase(),
        resource: request.resource.resource.clone(),
    }
}

fn only_warn(decision: Decision) -> Decision {
    let Decision { denials, warnings } = decision;
    Decision { denials: Vec::new(), warnings: [denials, warnings].concat() }
}

fn respond(
    mut response: AdmissionResponse,
    request: &AdmissionRequest<DynamicObject>,
    decided: Result<Decision, CannotGather>,
) -> AdmissionResponse {
    let Decision { denials, warnings } = match decided {
        Ok(decision) => decision,
        Err(error) => {
            // What cannot be judged is not let in: it could take addresses from others.
            let error = anyhow::Error::from(error);
            tracing::warn!(event = "cannotReview", error = format!("{error:#}"), "denied");
            let mut response = response.deny(format!("the edit cannot be judged now: {error:#}; try again"));
            response.result.code = 500;
            return response;
        }
    };
    response.warnings = (!warnings.is_empty()).then_some(warnings);
    if denials.is_empty() {
        return response;
    }
    tracing::info!(
        event = "denied", resource = request.resource.resource, name = request.name, namespace = request.namespace,
        operation = ?request.operation, reasons = ?denials, "an edit"
    );
    let mut response = response.deny(denials.join("\n"));
    response.result.code = 403;
    response.result.reason = String::from("Forbidden");
    response
}
