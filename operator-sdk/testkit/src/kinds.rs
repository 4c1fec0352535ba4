//! The built-in kinds: their names, and for those whose rules matter to operators, their rules.
//!
//! Of Pod and the workloads, Service, Namespace, ConfigMap, Secret, PersistentVolumeClaim and
//! CustomResourceDefinition, defaults and validation follow the documented rules as far as operators meet them; of the
//! other kinds only the shape is known, and what `kinds/` says of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use serde_json::{Value, json};

use crate::{
    resource::{Resource, Rules, ScalePaths},
    schema::{Schema, Shape, decode::normalise, openapi},
};

mod default;
mod definition;
mod findings;
mod pod;
mod service;
mod simple;
mod workload;

/// The built-in kinds, made once a process.
pub fn builtin() -> &'static [Arc<Resource>] {
    static KINDS: LazyLock<Vec<Arc<Resource>>> =
        LazyLock::new(|| TABLE.iter().map(|row| Arc::new(row.resource())).collect());
    &KINDS
}

/// One kind.
struct Row {
    /// The start of the names of its schemas, as in `io.k8s.api.core`.
    package: &'static str,
    /// As in `apps/v1`.
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    traits: &'static [Trait],
    selectable_fields: &'static [&'static str],
    deprecation: Option<&'static str>,
}

/// What a kind has or is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trait {
    Cluster,
    Status,
    All,
    Scale,
    ApiExtensions,
}

use Trait::{All, ApiExtensions, Cluster, Scale, Status};

impl Row {
    const fn short(self, short_names: &'static [&'static str]) -> Self {
        Self { short_names, ..self }
    }

    const fn with(self, traits: &'static [Trait]) -> Self {
        Self { traits, ..self }
    }

    const fn selectable(self, selectable_fields: &'static [&'static str]) -> Self {
        Self { selectable_fields, ..self }
    }

    const fn deprecated(self, deprecation: &'static str) -> Self {
        Self { deprecation: Some(deprecation), ..self }
    }

    fn resource(&self) -> Resource {
        let (group, version) = self.version.rsplit_once('/').unwrap_or(("", self.version));
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let has = |wanted: Trait| self.traits.contains(&wanted);
        let schema = openapi::schema(&format!("{}.{version}.{}", self.package, self.kind));
        let categories = [(All, "all"), (ApiExtensions, "api-extensions")];
        Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: texts(self.short_names),
            categories: categories.into_iter().filter(|(it, _)| has(*it)).map(|(_, name)| name.to_owned()).collect(),
            is_namespaced: !has(Cluster),
            is_custom: false,
            has_status: has(Status),
            scale: has(Scale).then(|| ScalePaths {
                replicas: ".spec.replicas".to_owned(),
                status_replicas: ".status.replicas".to_owned(),
                selector: Some(".spec.selector".to_owned()),
            }),
            selectable_fields: texts(self.selectable_fields),
            rules: rules(self.kind, &schema, has(Status)),
            other_schemas: BTreeMap::new(),
            deprecation: self.deprecation.map(str::to_owned),
            schema,
        }
    }
}

/// What only that kind does.
fn rules(kind: &'static str, schema: &Arc<Schema>, has_status: bool) -> Arc<dyn Rules> {
    match kind {
        "Pod" => Arc::new(pod::Pod),
        "Service" => Arc::new(service::Service),
        "CustomResourceDefinition" => Arc::new(definition::Definition),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "ReplicationController" => {
            Arc::new(workload::Workload::new(kind, schema.clone()))
        }
        _ => Arc::new(simple::Simple::new(kind, schema.clone(), has_status)),
    }
}

/// The status of a new object whose status is not told.
fn empty_status(schema: &Schema) -> Value {
    let Shape::Map(map) = &schema.shape else { return Value::Null };
    let mut status = json!({});
    match map.fields.get("status").map(|schema| normalise(schema, &mut status)) {
        Some(Ok(_)) => status,
        _ => Value::Null,
    }
}

/// The schema of a kind of `io.k8s.api`.
fn schema_of(name: &str) -> Arc<Schema> {
    openapi::schema(&format!("io.k8s.api.{name}"))
}

fn definition_schema() -> Arc<Schema> {
    openapi::schema(&format!("{EXTENSIONS}.v1.CustomResourceDefinition"))
}

const fn row(package: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Row {
    Row { package, version, kind, plural, short_names: &[], traits: &[], selectable_fields: &[], deprecation: None }
}

const CORE: &str = "io.k8s.api.core";
const STORAGE: &str = "io.k8s.api.storage";
const ADMISSION: &str = "io.k8s.api.admissionregistration";
const RBAC: &str = "io.k8s.api.rbac";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions";
const AGGREGATOR: &str = "io.k8s.kube-aggregator.pkg.apis.apiregistration";

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];
const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];
const NEW_EVENT_FIELDS: &[&str] = &[
    "reason",
    "reportingController",
    "type",
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(CORE, "v1", "ConfigMap", "configmaps").short(&["cm"]),
    row(CORE, "v1", "Endpoints", "endpoints").short(&["ep"]).deprecated("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    row(CORE, "v1", "Event", "events").short(&["ev"]).selectable(EVENT_FIELDS),
    row(CORE, "v1", "LimitRange", "limitranges").short(&["limits"]),
    row(CORE, "v1", "Namespace", "namespaces").short(&["ns"]).with(&[Cluster, Status]).selectable(&["status.phase"]),
    row(CORE, "v1", "Node", "nodes").short(&["no"]).with(&[Cluster, Status]).selectable(&["spec.unschedulable"]),
    row(CORE, "v1", "PersistentVolumeClaim", "persistentvolumeclaims").short(&["pvc"]).with(&[Status]),
    row(CORE, "v1", "PersistentVolume", "persistentvolumes").short(&["pv"]).with(&[Cluster, Status]),
    row(CORE, "v1", "Pod", "pods").short(&["po"]).with(&[Status, All]).selectable(POD_FIELDS),
    row(CORE, "v1", "PodTemplate", "podtemplates"),
    row(CORE, "v1", "ReplicationController", "replicationcontrollers").short(&["rc"]).with(&[Status, All, Scale]).selectable(&["status.replicas"]),
    row(CORE, "v1", "ResourceQuota", "resourcequotas").short(&["quota"]).with(&[Status]),
    row(CORE, "v1", "Secret", "secrets").selectable(&["type"]),
    row(CORE, "v1", "ServiceAccount", "serviceaccounts").short(&["sa"]),
    row(CORE, "v1", "Service", "services").short(&["svc"]).with(&[Status, All]).selectable(&["spec.clusterIP", "spec.type"]),
    row("io.k8s.api.apps", "apps/v1", "ControllerRevision", "controllerrevisions"),
    row("io.k8s.api.apps", "apps/v1", "DaemonSet", "daemonsets").short(&["ds"]).with(&[Status, All]),
    row("io.k8s.api.apps", "apps/v1", "Deployment", "deployments").short(&["deploy"]).with(&[Status, All, Scale]),
    row("io.k8s.api.apps", "apps/v1", "ReplicaSet", "replicasets").short(&["rs"]).with(&[Status, All, Scale]),
    row("io.k8s.api.apps", "apps/v1", "StatefulSet", "statefulsets").short(&["sts"]).with(&[Status, All, Scale]),
    row("io.k8s.api.batch", "batch/v1", "CronJob", "cronjobs").short(&["cj"]).with(&[Status, All]),
    row("io.k8s.api.batch", "batch/v1", "Job", "jobs").with(&[Status, All]).selectable(&["status.successful"]),
    row("io.k8s.api.policy", "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets").short(&["pdb"]).with(&[Status]),
    row("io.k8s.api.coordination", "coordination.k8s.io/v1", "Lease", "leases"),
    row(RBAC, "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings").with(&[Cluster]),
    row(RBAC, "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles").with(&[Cluster]),
    row(RBAC, "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    row(RBAC, "rbac.authorization.k8s.io/v1", "Role", "roles"),
    row(STORAGE, "storage.k8s.io/v1", "CSIDriver", "csidrivers").with(&[Cluster]),
    row(STORAGE, "storage.k8s.io/v1", "CSINode", "csinodes").with(&[Cluster]),
    row(STORAGE, "storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities"),
    row(STORAGE, "storage.k8s.io/v1", "StorageClass", "storageclasses").short(&["sc"]).with(&[Cluster]),
    row(STORAGE, "storage.k8s.io/v1", "VolumeAttachment", "volumeattachments").with(&[Cluster, Status]),
    row(STORAGE, "storage.k8s.io/v1", "VolumeAttributesClass", "volumeattributesclasses").short(&["vac"]).with(&[Cluster]),
    row("io.k8s.api.autoscaling", "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers").short(&["hpa"]).with(&[Status, All]),
    row("io.k8s.api.autoscaling", "autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers").short(&["hpa"]).with(&[Status, All]),
    row(EXTENSIONS, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions").short(&["crd", "crds"]).with(&[Cluster, Status, ApiExtensions]),
    row(ADMISSION, "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies").with(&[Cluster, ApiExtensions]),
    row(ADMISSION, "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings").with(&[Cluster, ApiExtensions]),
    row(ADMISSION, "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations").with(&[Cluster, ApiExtensions]),
    row(ADMISSION, "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies").with(&[Cluster, Status, ApiExtensions]),
    row(ADMISSION, "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings").with(&[Cluster, ApiExtensions]),
    row(ADMISSION, "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations").with(&[Cluster, ApiExtensions]),
    row("io.k8s.api.discovery", "discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    row("io.k8s.api.events", "events.k8s.io/v1", "Event", "events").short(&["ev"]).selectable(NEW_EVENT_FIELDS),
    row("io.k8s.api.networking", "networking.k8s.io/v1", "IngressClass", "ingressclasses").with(&[Cluster]),
    row("io.k8s.api.networking", "networking.k8s.io/v1", "Ingress", "ingresses").short(&["ing"]).with(&[Status]),
    row("io.k8s.api.networking", "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies").short(&["netpol"]),
    row("io.k8s.api.scheduling", "scheduling.k8s.io/v1", "PriorityClass", "priorityclasses").short(&["pc"]).with(&[Cluster]),
    row(AGGREGATOR, "apiregistration.k8s.io/v1", "APIService", "apiservices").with(&[Cluster, Status, ApiExtensions]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Part;

    #[test]
    fn the_shape_of_every_kind_is_known() {
        for kind in builtin() {
            assert!(matches!(&kind.schema.shape, Shape::Map(map) if map.fields.contains_key("metadata")), "{kind:?}");
        }
    }

    fn stored(object: Value) -> Value {
        let kind =
            builtin().iter().find(|kind| kind.kind == object["kind"] && kind.api_version() == object["apiVersion"]);
        let (kind, mut object) = (kind.unwrap(), object);
        kind.decode(&mut object).unwrap();
        kind.rules.default(&mut object);
        kind.rules.prepare(&mut object, None, Part::Main);
        assert_eq!(kind.rules.validate(&object, None, Part::Main), []);
        object
    }

    #[test]
    fn a_pod_is_stored_with_what_defaults_and_admission_give_it() {
        let pod = stored(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "c", "image": "i:1"}], "automountServiceAccountToken": false},
        }));
        let toleration =
            |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
        assert_eq!(
            pod["spec"],
            json!({
                "automountServiceAccountToken": false, "dnsPolicy": "ClusterFirst", "enableServiceLinks": true,
                "containers": [{
                    "name": "c", "image": "i:1", "imagePullPolicy": "IfNotPresent", "resources": {},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                }],
                "preemptionPolicy": "PreemptLowerPriority", "priority": 0, "restartPolicy": "Always",
                "schedulerName": "default-scheduler", "securityContext": {}, "serviceAccount": "default",
                "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
                "tolerations": [
                    toleration("node.kubernetes.io/not-ready"), toleration("node.kubernetes.io/unreachable"),
                ],
            })
        );
        assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    }

    #[test]
    fn what_is_stored_of_a_kind_is_stored_again_without_a_change() {
        let template = json!({
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i", "readinessProbe": {"httpGet": {"port": 80}}}]},
        });
        let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
        for (version, kind, spec) in [
            ("v1", "Pod", template["spec"].clone()),
            ("apps/v1", "Deployment", spec.clone()),
            ("apps/v1", "ReplicaSet", spec.clone()),
            ("apps/v1", "StatefulSet", spec.clone()),
            ("apps/v1", "DaemonSet", spec),
            ("v1", "Service", json!({"ports": [{"port": 80}]})),
            ("coordination.k8s.io/v1", "Lease", json!({"holderIdentity": "a"})),
        ] {
            let uid = "00000000-0000-0000-0000-000000000000";
            let first = stored(
                json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a", "uid": uid}, "spec": spec}),
            );
            let rules = builtin().iter().find(|it| it.kind == kind && it.api_version() == version).unwrap();
            let mut again = first.clone();
            rules.decode(&mut again).unwrap();
            rules.rules.default(&mut again);
            rules.rules.prepare(&mut again, Some(&first), Part::Main);
            assert_eq!(again, first, "{kind}");
            assert_eq!(rules.rules.validate(&again, Some(&first), Part::Main), []);
        }
    }
}
