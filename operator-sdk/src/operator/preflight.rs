//! Asks the API server before anything begins whether this identity may do what the code declares: a missing right is
//! told in one line at the start, instead of in the middle of a rollout.

#![expect(clippy::disallowed_methods, reason = "a review is a question in the form of a create")]

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::{Api, api::PostParams};

use crate::permission::Permission;

const QUESTIONS_AT_ONCE: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is to be asked.
pub(super) struct Need {
    pub(super) permission: Permission,
    /// `None`: everywhere.
    pub(super) namespace: Option<String>,
    /// `None`: any object.
    pub(super) name: Option<String>,
}

/// Why the operator cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// No answer, or none that can be used.
    #[error("failed to reach the API server: {0}; check its address and this machine's network")]
    Unreachable(String),
    /// The identity is not accepted.
    #[error("failed to ask the API server for this identity's rights: {0}; check the credentials")]
    Refused(Box<kube::core::Status>),
    /// Not everything that is declared is allowed.
    #[error("missing permission to {0}; apply what the verb 'manifests' prints (see also the verb 'permissions')")]
    Missing(String),
}

/// Checks all needs.
pub(super) async fn check(client: &kube::Client, needs: Vec<Need>) -> Result<(), PreflightError> {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answers = stream::iter(needs).map(|need| ask(&api, need)).buffered(QUESTIONS_AT_ONCE);
    let missing: BTreeSet<String> = answers.try_filter_map(|missing| async { Ok(missing) }).try_collect().await?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(PreflightError::Missing(missing.into_iter().collect::<Vec<_>>().join(", ")))
}

/// `Some` text if the need is not met.
async fn ask(api: &Api<SelfSubjectAccessReview>, need: Need) -> Result<Option<String>, PreflightError> {
    let (resource, subresource) = match need.permission.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (need.permission.resource.as_str(), None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(need.permission.group.clone()),
                resource: Some(resource.to_owned()),
                subresource: subresource.map(str::to_owned),
                verb: Some(need.permission.verb.to_string()),
                namespace: need.namespace.clone(),
                name: need.name.clone(),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let parameters = PostParams::default();
    let answer = tokio::time::timeout(TIMEOUT, api.create(&parameters, &review)).await;
    let review = match answer {
        Ok(Ok(review)) => review,
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 401 | 403) => {
            return Err(PreflightError::Refused(status));
        }
        Ok(Err(error)) => return Err(PreflightError::Unreachable(error.to_string())),
        Err(_) => return Err(PreflightError::Unreachable("no answer in time".to_owned())),
    };
    let is_allowed = review.status.is_some_and(|status| status.allowed);
    let place = match &need.namespace {
        Some(namespace) => format!(" in namespace {namespace}"),
        None => " in all namespaces".to_owned(),
    };
    Ok((!is_allowed).then(|| format!("{}{place}", need.permission)))
}
