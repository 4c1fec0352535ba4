//! How an actor asks: requests as they are, each waited for no longer than a client would.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::kind::Kind;
use crate::{
    object::Object,
    request::{Body, List, Reply, Request},
    service::{Called, Watching},
    simulation::{Environment, Wire},
};

/// An answer that takes longer does not come any more.
const TIMEOUT: Duration = Duration::from_secs(35);
/// So long a watch lasts, which has no need of being begun anew.
const WATCH_SECONDS: u64 = 24 * 3600;

/// An actor's way to the server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hand {
    wire: Wire,
    agent: Arc<str>,
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The server said no.
    #[error("{} {}", .0.code, .0.reason())]
    Refused(Box<Reply>),
    /// No answer came, or one that means nothing.
    #[error("no answer")]
    Lost,
}

impl Failed {
    /// Whether the object is not there, or another one of its name.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Refused(reply) if reply.code == 404)
    }

    /// Whether the object was not as assumed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(reply) if reply.code == 409)
    }
}

impl Hand {
    /// The way of this process, which names itself so to the server.
    pub fn new(environment: &Environment, agent: &str) -> Self {
        Self { wire: environment.wire(), agent: agent.into() }
    }

    /// Sends any request that is no watch.
    ///
    /// # Errors
    /// If it is refused, or no answer comes.
    pub async fn call(&self, request: Request) -> Result<Reply, Failed> {
        match self.send(request).await? {
            Called::Reply(reply) if reply.is_success() => Ok(reply),
            Called::Reply(reply) => Err(Failed::Refused(Box::new(reply))),
            Called::Watch(_) => Err(Failed::Lost),
        }
    }

    /// Reads what is no object.
    ///
    /// # Errors
    /// As [`Hand::call`].
    pub async fn read(&self, path: &str) -> Result<Value, Failed> {
        Ok(self.call(Request::new(Method::GET, path)).await?.to_value())
    }

    /// Reads an object; `Ok(None)`: it is not there.
    ///
    /// # Errors
    /// As [`Hand::call`].
    pub async fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Option<Arc<Object>>, Failed> {
        match self.call(Request::new(Method::GET, kind.path(namespace, name))).await {
            Ok(reply) => object(reply).map(Some),
            Err(failed) if failed.is_gone() => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// Lists objects; an empty namespace: of all.
    ///
    /// # Errors
    /// As [`Hand::call`].
    pub async fn list(&self, kind: &Kind, namespace: &str, fields: &str) -> Result<List, Failed> {
        let request = selecting(Request::new(Method::GET, kind.collection(namespace)), fields);
        match self.call(request).await?.body {
            Body::List(list) => Ok(list),
            _ => Err(Failed::Lost),
        }
    }

    /// Watches what a list holds, from its revision on.
    ///
    /// # Errors
    /// As [`Hand::call`].
    pub async fn watch(&self, kind: &Kind, namespace: &str, fields: &str, revision: &str) -> Result<Watching, Failed> {
        let request = Request::new(Method::GET, kind.collection(namespace))
            .with_query("watch", "true")
            .with_query("resourceVersion", revision)
            .with_query("timeoutSeconds", WATCH_SECONDS.to_string());
        match self.send(selecting(request, fields)).await? {
            Called::Watch(watching) => Ok(watching),
            Called::Reply(reply) => Err(Failed::Refused(Box::new(reply))),
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As [`Hand::call`].
    pub async fn create(&self, kind: &Kind, namespace: &str, value: &Value) -> Result<Arc<Object>, Failed> {
        let request = Request::new(Method::POST, kind.collection(namespace));
        object(self.call(request.with_body(value)).await?)
    }

    /// Changes this very object, or the named part of it, by a JSON merge patch. If the patch names a resource version, it
    /// is only applied to that.
    ///
    /// # Errors
    /// As [`Hand::call`].
    pub async fn patch(&self, kind: &Kind, live: &Object, part: &str, patch: &Value) -> Result<Arc<Object>, Failed> {
        self.patch_as("application/merge-patch+json", kind, live, part, patch).await
    }

    /// The same by a strategic merge patch, which only built-in kinds take: lists are merged by their keys.
    ///
    /// # Errors
    /// As [`Hand::call`].
    pub async fn merge(&self, kind: &Kind, live: &Object, part: &str, patch: &Value) -> Result<Arc<Object>, Failed> {
        self.patch_as("application/strategic-merge-patch+json", kind, live, part, patch).await
    }

    /// Deletes this very object; more options than its uid may be given.
    ///
    /// # Errors
    /// As [`Hand::call`].
    pub async fn delete(&self, kind: &Kind, live: &Object, mut options: Value) -> Result<Reply, Failed> {
        options["preconditions"]["uid"] = live.uid().into();
        self.call(Request::new(Method::DELETE, kind.path_of(live)).with_body(&options)).await
    }

    async fn patch_as(
        &self,
        content_type: &str,
        kind: &Kind,
        live: &Object,
        part: &str,
        patch: &Value,
    ) -> Result<Arc<Object>, Failed> {
        let path = kind.path_of(live);
        let path = if part.is_empty() { path } else { format!("{path}/{part}") };
        let mut patch = patch.clone();
        patch["metadata"]["uid"] = live.uid().into();
        object(self.call(Request::new(Method::PATCH, path).with_content(content_type, patch.to_string())).await?)
    }

    async fn send(&self, mut request: Request) -> Result<Called, Failed> {
        request.user_agent = self.agent.to_string();
        match timeout(TIMEOUT, self.wire.send(request)).await {
            Ok(Ok(called)) => Ok(called),
            Ok(Err(_)) | Err(_) => Err(Failed::Lost),
        }
    }
}

/// Options of a deletion with a policy.
pub(super) fn propagation(policy: &str) -> Value {
    json!({ "propagationPolicy": policy })
}

fn selecting(request: Request, fields: &str) -> Request {
    if fields.is_empty() { request } else { request.with_query("fieldSelector", fields) }
}

fn object(reply: Reply) -> Result<Arc<Object>, Failed> {
    match reply.body {
        Body::Object(object) => Ok(object),
        Body::Value(value) => Ok(Object::new(value)),
        Body::List(_) | Body::Text(_) => Err(Failed::Lost),
    }
}
