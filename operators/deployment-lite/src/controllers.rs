//! The two controllers, put together: what they watch, and whose changes wake which of them.

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{Controller, Operator, selector};

use crate::{
    api::{Api, BuiltIn, Form, Lite, LiteDeployment, LiteReplicaSet},
    deployment::{self, DeploymentPlanner},
    replica_set::ReplicaSetPlanner,
};

/// Adds the controllers of the kinds of our own, which are to be installed first.
pub fn add_lite(operator: &mut Operator) {
    operator.installs::<LiteDeployment>();
    operator.installs::<LiteReplicaSet>();
    add::<Lite>(operator);
}

/// Adds the controllers of the built-in kinds, which those of the control plane would be otherwise.
pub fn add_built_in(operator: &mut Operator) {
    operator.runs_on_control_plane();
    add::<BuiltIn>(operator);
}

fn add<A: Api>(operator: &mut Operator) {
    let deployments = operator.watch::<A::Deployment>();
    let replica_sets = operator.watch::<A::ReplicaSet>();
    let pods = operator.watch::<Pod>();
    let planner = DeploymentPlanner::<A>::new(replica_sets.clone(), pods.clone());
    let (all, sets) = (deployments.clone(), replica_sets.clone());
    let controller = Controller::planner(planner, &deployments)
        .owns(&replica_sets)
        .adopts(&replica_sets, |deployment, orphan| {
            selector::matches(&deployment.built_in().spec.selector, orphan.labels.as_ref())
        })
        .follows(&pods, move |pod| deployment::waits_for::<A>(&all, &sets, pod).into_iter().collect());
    operator.controller(controller);
    let planner = ReplicaSetPlanner::<A>::new(replica_sets.clone(), pods.clone());
    let controller = Controller::planner(planner, &replica_sets)
        .owns(&pods)
        .adopts(&pods, |set, orphan| selector::matches(&set.built_in().spec.selector, orphan.labels.as_ref()));
    operator.controller(controller);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What Kubernetes 1.37 allows its own two controllers, by group, resource and verbs
    /// (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go`).
    const UPSTREAM: [(&str, &str, &str); 8] = [
        ("apps", "deployments", "get list watch update"),
        ("apps", "deployments/status", "update"),
        ("apps", "deployments/finalizers", "update"),
        ("apps", "replicasets", "get list watch create update patch delete"),
        ("apps", "replicasets/status", "update"),
        ("apps", "replicasets/finalizers", "update"),
        ("", "pods", "get list watch update patch create delete"),
        ("events.k8s.io", "events", "create update patch"),
    ];

    /// What ours may do besides, and why.
    const BESIDES: [(&str, &str); 1] = [(
        "patch deployments.apps",
        "upstream updates the whole object, for a rollback and for its revision; a patch touches nothing else",
    )];

    #[test]
    fn it_may_do_no_more_than_the_controllers_whose_place_it_takes() {
        let mut operator = Operator::builder("deployment-lite", "test");
        add_built_in(&mut operator);
        let besides: BTreeSet<String> = operator
            .permissions()
            .into_iter()
            .filter(|ours| {
                !UPSTREAM.iter().any(|(group, resource, verbs)| {
                    (*group, *resource) == (&*ours.group, &*ours.resource)
                        && verbs.split(' ').any(|verb| verb == ours.verb.as_str())
                })
            })
            .map(|permission| permission.to_string())
            .collect();
        let justified = BESIDES.iter().map(|(permission, _)| (*permission).to_owned()).collect();
        assert_eq!(besides, justified, "each right that upstream's roles lack needs its reason here");
    }
}
