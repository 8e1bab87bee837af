//! ConversionReview, in either of its versions: upstream's definition lists `v1beta1` and `v1beta2`, of which the API
//! server knows the first.

use kube::core::Status;
use kube::core::conversion::{ConversionRequest, ConversionResponse, ConversionReview};
use metallb_crds::conversion::{Version, convert};

/// The body is no question that could be answered.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    /// It is no ConversionReview.
    #[error("not a ConversionReview: {0}")]
    NoReview(#[source] serde_json::Error),
    /// It is of a version that nobody knows.
    #[error("{0:?} is no version of ConversionReview; there are apiextensions.k8s.io/v1 and v1beta1")]
    UnknownVersion(String),
    /// It holds no question.
    #[error("the ConversionReview holds no request")]
    NoRequest,
}

/// Converts the objects in `body`: all, or none, with the reason.
pub fn answer(body: &[u8]) -> Result<ConversionReview, BadRequest> {
    let review: ConversionReview = serde_json::from_slice(body).map_err(BadRequest::NoReview)?;
    let version = &review.types.api_version;
    if !matches!(version.as_str(), "apiextensions.k8s.io/v1" | "apiextensions.k8s.io/v1beta1") {
        return Err(BadRequest::UnknownVersion(version.clone()));
    }
    let mut request = ConversionRequest::from_review(review).map_err(|_| BadRequest::NoRequest)?;
    let objects = std::mem::take(&mut request.objects);
    let converted = Version::parse(&request.desired_api_version)
        .and_then(|to| objects.into_iter().map(|object| convert(object, to)).collect());
    let response = ConversionResponse::for_request(request);
    Ok(match converted {
        Ok(objects) => response.success(objects),
        Err(error) => {
            tracing::warn!(event = "cannotConvert", error = &error as &dyn std::error::Error, "refused");
            response.failure(Status::failure(&error.to_string(), "Invalid"))
        }
    }
    .into_review())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ask(review_version: &str, desired: &str, objects: &Value) -> Value {
        let request = json!({ "uid": "7", "desiredAPIVersion": desired, "objects": objects });
        let review = json!({ "apiVersion": review_version, "kind": "ConversionReview", "request": request });
        serde_json::to_value(answer(review.to_string().as_bytes()).unwrap()).unwrap()
    }

    fn peer(version: &str) -> Value {
        let spec = json!({ "myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1" });
        json!({ "apiVersion": version, "kind": "BGPPeer", "metadata": { "name": "a" }, "spec": spec })
    }

    #[test]
    fn the_answer_is_of_the_version_of_the_question_and_carries_its_uid() {
        for version in ["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"] {
            let objects = json!([peer("metallb.io/v1beta1"), peer("metallb.io/v1beta2")]);
            let answer = ask(version, "metallb.io/v1beta2", &objects);
            assert_eq!((&answer["apiVersion"], &answer["response"]["uid"]), (&json!(version), &json!("7")));
            assert_eq!(answer["response"]["result"]["status"], "Success");
            let converted = answer["response"]["convertedObjects"].as_array().unwrap();
            assert_eq!(converted.len(), 2, "in their order, those of that version too");
            assert!(converted.iter().all(|object| object["apiVersion"] == "metallb.io/v1beta2"));
        }
    }

    #[test]
    fn one_object_that_cannot_be_converted_fails_all_and_is_explained() {
        let objects = json!([peer("metallb.io/v1beta1"), peer("metallb.io/v7")]);
        let answer = ask("apiextensions.k8s.io/v1", "metallb.io/v1beta2", &objects);
        assert_eq!(answer["response"]["result"]["status"], "Failure");
        assert!(answer["response"]["result"]["message"].as_str().unwrap().contains("metallb.io/v7"));
        assert_eq!(answer["response"]["convertedObjects"], json!([]));
    }

    #[test]
    fn what_is_no_question_is_refused() {
        for body in ["", "{}", "[]", r#"{"apiVersion":"v1","kind":"ConversionReview","request":null}"#] {
            assert!(answer(body.as_bytes()).is_err(), "{body}");
        }
        let empty = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview"}"#;
        assert!(matches!(answer(empty.as_bytes()), Err(BadRequest::NoRequest)));
    }

    /// Anybody who reaches the port may ask; a panic would end the process.
    #[test]
    fn an_object_that_is_none_is_refused() {
        for object in [
            json!("x"),
            json!(null),
            json!([]),
            json!({ "kind": "BGPPeer" }),
            json!({ "apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": "x", "spec": { "vrf": "red" } }),
        ] {
            let answer = ask("apiextensions.k8s.io/v1", "metallb.io/v1beta1", &json!([object]));
            assert_eq!(answer["response"]["result"]["status"], "Failure", "{object}: {answer}");
        }
    }
}
