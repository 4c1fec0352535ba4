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
    use operator_testkit::{explore::Faults, simulation::Simulation, yaml};

    use super::operator;

    #[test]
    fn whatever_goes_wrong_the_map_is_made_once_and_right() {
        Simulation::of(operator).with(yaml!("testdata/sample.yaml")).explore(Faults::single()).assert_converges();
    }
}
