//! Whole operators of `operator-sdk` as processes, with the definitions and exactly the rights that they declare.

use std::sync::Arc;

use futures::future::BoxFuture;
use operator_sdk::{
    Operator,
    client::Connector,
    leader::{Place, Timing},
    operator::{Candidacy, Host},
    task::behind,
};
use serde_json::Value;

use super::{Environment, Manifest, Simulation};
use crate::request::User;

/// Where operators run.
const NAMESPACE: &str = "operator-lite-system";

/// What stands of an operator's installation before its pods do.
const PREREQUISITES: [&str; 6] =
    ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

impl Simulation {
    /// One replica of an operator, which the factory makes at each start, as `main` does.
    pub fn of(operator: impl Fn() -> Operator + Send + Sync + 'static) -> Self {
        Self::of_replicas(1, operator)
    }

    /// So many replicas, which elect a leader; named after the operator: `name-0`, `name-1` and so on.
    ///
    /// # Panics
    /// If the operator declares what is no valid definition.
    pub fn of_replicas(replicas: u32, operator: impl Fn() -> Operator + Send + Sync + 'static) -> Self {
        let sample = operator();
        let user = User::service_account(NAMESPACE, sample.name());
        let operator: Arc<dyn Fn() -> Operator + Send + Sync> = Arc::new(operator);
        let candidacy = (replicas > 1).then(|| Candidacy {
            namespace: NAMESPACE.to_owned(),
            timing: Timing::default(),
            place: Place::Task,
        });
        let mut simulation = Self::new().installed(installation(&sample));
        let rights = sample.permissions().into_iter().map(|permission| {
            let verb = permission.verb.as_str().to_owned();
            (verb, permission.group, permission.resource)
        });
        // A right on the subresource `finalizers` is asked for by an admission plug-in, not by any request; and every
        // operator may tell people what it does, whether or not it has something to tell.
        let used_by_requests =
            rights.filter(|(.., resource)| !resource.ends_with("/finalizers") && resource != "events");
        simulation.declared.insert(user.name.clone(), used_by_requests.collect());
        (0..replicas).fold(simulation, |simulation, number| {
            let name = if replicas > 1 { format!("{}-{number}", sample.name()) } else { sample.name().to_owned() };
            let (operator, candidacy) = (Arc::clone(&operator), candidacy.clone());
            simulation.boxed_process(&name, user.clone(), move |environment| -> BoxFuture<'static, _> {
                let host = host(&environment, candidacy.clone());
                let running = operator().run_on(host);
                let running = behind(environment.gate(), running);
                Box::pin(async move { running.await.map_err(|error| error.to_string()) })
            })
        })
    }
}

fn host(environment: &Environment, candidacy: Option<Candidacy>) -> Host {
    let connecting = environment.clone();
    Host {
        connector: Connector::by(move || {
            let environment = connecting.clone();
            async move { Ok(environment.client()) }
        }),
        clock: environment.clock(),
        pod_name: environment.name().to_owned(),
        candidacy,
        listener: None,
        stop: {
            let stopped = environment.stopped();
            Box::pin(async move {
                stopped.await;
                "asked to stop"
            })
        },
    }
}

fn installation(operator: &Operator) -> Manifest {
    let definitions = match operator.definitions() {
        Ok(definitions) => definitions,
        Err(error) => panic!("{} declares no valid definition: {error}", operator.name()),
    };
    let definitions = definitions.into_iter().map(serde_json::to_value);
    let objects = operator.manifests(NAMESPACE).map(|objects| {
        let needed = |object: &Value| PREREQUISITES.iter().any(|kind| object["kind"] == *kind);
        objects.into_iter().filter(needed).collect::<Vec<_>>()
    });
    match (definitions.collect::<Result<Vec<_>, _>>(), objects) {
        (Ok(definitions), Ok(objects)) => objects.into_iter().chain(definitions).collect(),
        (Err(error), _) | (_, Err(error)) => panic!("failed to write what {} installs: {error}", operator.name()),
    }
}
