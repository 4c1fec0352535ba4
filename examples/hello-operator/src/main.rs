//! A whole operator: a Greeting becomes a ConfigMap with its text, and stays one whatever happens to either.
//!
//! `hello-operator crds`, `manifests` and `permissions` print what is to be installed, `run` runs it.

use std::process::ExitCode;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::CustomResource;
use operator_sdk::{
    Controller, Object, Operator, Watch, intent,
    owner::controller_reference,
    permission::{Permission, Verb},
    reconcile::{Context, Failure, Outcome, Reconciler},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is to be greeted.
#[derive(Clone, Debug, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(group = "examples.operator-lite.dev", version = "v1alpha1", kind = "Greeting", namespaced)]
struct GreetingSpec {
    /// A name, as in `World`.
    name: String,
}

struct Hello {
    maps: Watch<ConfigMap>,
}

impl Reconciler for Hello {
    type Object = Greeting;

    async fn reconcile(&self, context: &Context<Greeting>) -> Result<Outcome, Failure> {
        let greeting = context.object.as_ref();
        let held = self.maps.get(&greeting.key())?;
        intent::apply(&context.client, &config_map(greeting)?, held.as_deref()).await?;
        Ok(Outcome::Done)
    }

    fn permissions(&self) -> Vec<Permission> {
        [Verb::Create, Verb::Patch].map(Permission::of::<ConfigMap>).to_vec()
    }
}

/// The ConfigMap of a Greeting: of its name, and gone with it.
fn config_map(greeting: &Greeting) -> operator_sdk::Result<ConfigMap> {
    Ok(ConfigMap {
        metadata: ObjectMeta {
            name: greeting.metadata.name.clone(),
            namespace: greeting.metadata.namespace.clone(),
            owner_references: Some(vec![controller_reference(greeting)?]),
            ..ObjectMeta::default()
        },
        data: Some([("text".to_owned(), format!("Hello, {}!", greeting.spec.name))].into()),
        ..ConfigMap::default()
    })
}

fn operator() -> Operator {
    let mut operator = Operator::builder("hello-operator", env!("CARGO_PKG_VERSION"));
    operator.installs::<Greeting>();
    let greetings = operator.watch::<Greeting>();
    let maps = operator.watch::<ConfigMap>();
    operator.controller(Controller::new(Hello { maps: maps.clone() }, &greetings).owns(&maps));
    operator
}

#[tokio::main]
async fn main() -> ExitCode {
    operator().run().await
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use http::{Request, Response};
    use kube::client::Body;
    use operator_sdk::{
        client::{Fence, Writes},
        clock::Clock,
        event::{Recorder, Reporter},
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use operator_testkit::{explore::Faults, simulation::Simulation, yaml};

    #[test]
    fn whatever_goes_wrong_the_map_is_made_once_and_right() {
        Simulation::of(operator).with(yaml!("testdata/sample.yaml")).explore(Faults::single()).assert_converges();
    }

    /// A server that keeps the ConfigMap that it is sent and, if it crashes us, never answers.
    fn server(kept: &Arc<Mutex<Vec<ConfigMap>>>, crashes: bool) -> kube::Client {
        let kept = Arc::clone(kept);
        kube::Client::new(
            tower::service_fn(move |request: Request<Body>| {
                let kept = Arc::clone(&kept);
                async move {
                    let body = request.into_body().collect_bytes().await.unwrap();
                    kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                    if crashes {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Infallible>(Response::new(Body::from(body.to_vec())))
                }
            }),
            "default",
        )
    }

    /// One pass of a process that sees this ConfigMap; it is killed if the server does not answer.
    async fn pass(client: kube::Client, seen: Option<ConfigMap>) {
        let mut greeting = Greeting::new("web", GreetingSpec { name: "World".to_owned() });
        (greeting.metadata.namespace, greeting.metadata.uid) = (Some("default".to_owned()), Some("u".to_owned()));
        let hello = Hello { maps: Watch::holding(seen) };
        let (clock, allowed) = (Clock::system(), hello.permissions().into_iter().collect());
        let reporter = Reporter { controller: "example.com/test".to_owned(), instance: "test".to_owned() };
        let context = Context {
            object: Arc::new(greeting),
            client: Writes::new(client.clone(), Arc::new(allowed), Fence::open(clock.clone())).client(),
            events: Recorder::new(client, Fence::closed(clock.clone()), clock.clone(), reporter).0,
            clock,
            failures: 0,
            cancellation: CancellationToken::new(),
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), hello.reconcile(&context)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_in_the_middle_of_the_write_leaves_one_map_that_is_right() {
        let kept = Arc::default();
        pass(server(&kept, true), None).await;
        pass(server(&kept, false), None).await;
        let last = kept.lock().unwrap().last().cloned();
        pass(server(&kept, false), last.clone()).await;
        assert_eq!(last.clone().unwrap().data.unwrap()["text"], "Hello, World!");
        assert_eq!(*kept.lock().unwrap(), [last.clone().unwrap(), last.unwrap()], "the same twice, and then nothing");
    }
}
