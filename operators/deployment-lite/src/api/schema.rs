//! What the API server itself refuses: bounds and CEL rules for the parts that both kinds share.

use k8s_openapi::{
    api::{
        apps::v1::{DeploymentSpec, DeploymentStatus, ReplicaSetSpec, ReplicaSetStatus},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Bounds that keep the cost of the rules within the API server's budget.
const LABELS_MAX: u32 = 64;
const EXPRESSIONS_MAX: u32 = 16;
const VALUES_MAX: u32 = 32;
const LABEL_NAME_LENGTH_MAX: u32 = 317;
const LABEL_VALUE_LENGTH_MAX: u32 = 63;

/// What the value of a label is, and what its name is with its optional prefix.
const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
const LABEL_NAME: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// What a LiteDeployment may ask for, with the defaults of the built-in kind (D68, D69).
pub(super) fn deployment_spec(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<DeploymentSpec>();
    let described = |text: &str, more: Value| merge(json!({"description": text}), more);
    for (field, description, more) in [
        ("replicas", "How many pods there are to be. Default 1.", json!({"default": 1, "minimum": 0})),
        (
            "revisionHistoryLimit",
            "How many former LiteReplicaSets are kept. Default 10.",
            json!({"default": 10, "minimum": 0}),
        ),
        ("minReadySeconds", MIN_READY_SECONDS, json!({"default": 0, "minimum": 0})),
        ("progressDeadlineSeconds", PROGRESS_DEADLINE_SECONDS, json!({"default": 600, "minimum": 0})),
        ("paused", "While it is true, a change of the template has no effect yet.", json!({})),
        (
            "strategy",
            "How pods of a former template are replaced.",
            json!({
                "default": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "x-kubernetes-validations": [strategy_rule()],
            }),
        ),
    ] {
        put(&mut schema, &format!("/properties/{field}"), described(description, more));
    }
    let strategy = "/properties/strategy/properties";
    let rolling_update = format!("{strategy}/rollingUpdate");
    put(
        &mut schema,
        &format!("{strategy}/type"),
        json!({
            "default": "RollingUpdate",
            "enum": ["Recreate", "RollingUpdate"],
            "description": "`RollingUpdate`: step by step. `Recreate`: all former pods go before the first new one comes.",
        }),
    );
    let limits = "The limits of a rolling update: numbers of pods, or percentages of `replicas`. Not both may be 0.";
    put(
        &mut schema,
        &rolling_update,
        json!({"description": limits, "x-kubernetes-validations": rolling_update_rules()}),
    );
    let surge = "How many pods there may be beyond `replicas`; a percentage is rounded up. Default 25%.";
    let unavailable = "How many of `replicas` may be unavailable; a percentage is rounded down. Default 25%.";
    for (field, description, mut amount) in
        [("maxSurge", surge, amount(generator)), ("maxUnavailable", unavailable, share(generator))]
    {
        put(&mut amount, "", json!({"default": "25%", "description": description}));
        put(&mut schema, &format!("{rolling_update}/properties"), json!({field: amount}));
    }
    workload(
        generator,
        &mut schema,
        "What the pods are like. A change begins a rolling update.",
        [json!({
            "rule": "!has(self.progressDeadlineSeconds) || !has(self.minReadySeconds) \
                || self.progressDeadlineSeconds > self.minReadySeconds",
            "message": "must be greater than minReadySeconds",
            "fieldPath": ".progressDeadlineSeconds",
        })],
    );
    schema
}

/// What a LiteReplicaSet may ask for.
pub(super) fn replica_set_spec(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<ReplicaSetSpec>();
    let replicas = json!({"default": 1, "minimum": 0, "description": "How many pods there are to be. Default 1."});
    put(&mut schema, "/properties/replicas", replicas);
    let min_ready = json!({"default": 0, "minimum": 0, "description": MIN_READY_SECONDS});
    put(&mut schema, "/properties/minReadySeconds", min_ready);
    workload(generator, &mut schema, "What the pods are like.", []);
    put(&mut schema, "", json!({"required": ["selector", "template"]}));
    schema
}

const PROGRESS_DEADLINE_SECONDS: &str =
    "A rollout without progress for so long is reported as failed. Must be more than minReadySeconds. Default 600.";
const MIN_READY_SECONDS: &str = "How long a pod has to be ready before it counts as available. Default 0.";

/// The parts that both kinds share.
fn workload(
    generator: &mut SchemaGenerator,
    schema: &mut Schema,
    template_description: &str,
    more_rules: impl IntoIterator<Item = Value>,
) {
    let (mut selector, mut template) = (selector(generator), template(generator));
    let matches = "Which pods belong to it. Must match the labels of the template; cannot be changed.";
    put(&mut selector, "", json!({"description": matches}));
    put(&mut template, "", json!({"description": template_description}));
    put(schema, "/properties", json!({"selector": selector, "template": template}));
    let rules: Vec<Value> = workload_rules().into_iter().chain(more_rules).collect();
    put(schema, "", json!({"x-kubernetes-validations": rules}));
}

/// What a LiteDeployment reports.
pub(super) fn deployment_status(generator: &mut SchemaGenerator) -> Schema {
    status(generator.subschema_for::<DeploymentStatus>())
}

/// What a LiteReplicaSet reports.
pub(super) fn replica_set_status(generator: &mut SchemaGenerator) -> Schema {
    status(generator.subschema_for::<ReplicaSetStatus>())
}

fn status(mut schema: Schema) -> Schema {
    let keys = json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]});
    put(&mut schema, "/properties/conditions", keys);
    put(&mut schema, "/properties/conditions/items", json!({"required": ["status", "type"]}));
    schema
}

/// A selector that is not empty and never changes.
fn selector(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<LabelSelector>();
    let names = json!({
        "rule": format!("self.all(name, name.matches('{LABEL_NAME}'))"),
        "message": "must be names of labels",
    });
    put(
        &mut schema,
        "/properties/matchLabels",
        json!({"maxProperties": LABELS_MAX, "x-kubernetes-validations": [names]}),
    );
    put(&mut schema, "/properties/matchLabels/additionalProperties", label_value());
    put(&mut schema, "/properties/matchExpressions", json!({"maxItems": EXPRESSIONS_MAX}));
    let expression = "/properties/matchExpressions/items/properties";
    let name = json!({"maxLength": LABEL_NAME_LENGTH_MAX, "pattern": LABEL_NAME});
    put(&mut schema, &format!("{expression}/key"), name);
    put(&mut schema, &format!("{expression}/operator"), json!({"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}));
    put(&mut schema, &format!("{expression}/values"), json!({"maxItems": VALUES_MAX}));
    put(&mut schema, &format!("{expression}/values/items"), label_value());
    put(
        &mut schema,
        "/properties/matchExpressions/items",
        json!({"x-kubernetes-validations": [{
            "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "message": "must be given for In and NotIn, and only for them",
            "fieldPath": ".values",
        }]}),
    );
    put(
        &mut schema,
        "",
        json!({"x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "field is immutable"},
            {
                "rule": "(has(self.matchLabels) && self.matchLabels.size() > 0) \
                    || (has(self.matchExpressions) && self.matchExpressions.size() > 0)",
                "message": "must not be empty: give matchLabels or matchExpressions",
            },
        ]}),
    );
    schema
}

/// A pod template whose labels are bounded.
fn template(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<PodTemplateSpec>();
    let labels = "/properties/metadata/properties/labels";
    put(&mut schema, labels, json!({"maxProperties": LABELS_MAX}));
    put(&mut schema, &format!("{labels}/additionalProperties"), label_value());
    put(&mut schema, "", json!({"required": ["spec"]}));
    bound_ports(schema.as_object_mut().and_then(|schema| schema.get_mut("properties")));
    schema
}

fn label_value() -> Value {
    json!({"maxLength": LABEL_VALUE_LENGTH_MAX, "pattern": LABEL_VALUE})
}

/// Bounds every port that may be a number or a name: the type behind it holds 32 bits, and there are no larger ports.
fn bound_ports(properties: Option<&mut Value>) {
    for (name, schema) in properties.and_then(Value::as_object_mut).into_iter().flatten() {
        if name == "port" && schema.get("x-kubernetes-int-or-string").is_some() {
            schema["minimum"] = json!(1);
            schema["maximum"] = json!(u16::MAX);
        }
        bound_ports(schema.get_mut("properties"));
        bound_ports(schema.pointer_mut("/items/properties"));
    }
}

/// A number of at least 0, or a percentage.
fn amount(generator: &mut SchemaGenerator) -> Schema {
    int_or_percentage(generator, "^[0-9]+%$", "must be a number of at least 0 or a percentage such as 25%")
}

/// A number of at least 0, or a percentage up to 100%.
fn share(generator: &mut SchemaGenerator) -> Schema {
    let pattern = "^(100|[0-9]{1,2})%$";
    int_or_percentage(generator, pattern, "must be a number of at least 0 or a percentage from 0% to 100%")
}

fn int_or_percentage(generator: &mut SchemaGenerator, pattern: &str, message: &str) -> Schema {
    let mut schema = generator.subschema_for::<IntOrString>();
    put(
        &mut schema,
        "",
        json!({
            "maxLength": 16,
            "x-kubernetes-validations": [{
                "rule": format!("type(self) == int ? self >= 0 && self <= {} : self.matches('{pattern}')", i32::MAX),
                "message": message,
            }],
        }),
    );
    schema
}

/// Where all pods are recreated there is nothing to limit. `rollingUpdate` has no default, so that it is not there then.
fn strategy_rule() -> Value {
    json!({
        "rule": "!has(self.type) || self.type != 'Recreate' || !has(self.rollingUpdate)",
        "message": "may not be given when strategy type is Recreate: set it to null",
        "fieldPath": ".rollingUpdate",
    })
}

/// Not both limits may be 0.
fn rolling_update_rules() -> Value {
    let is_zero =
        |field: &str| format!("(type(self.{field}) == int ? self.{field} == 0 : self.{field}.matches('^0+%$'))");
    json!([{
        "rule": format!(
            "!has(self.maxSurge) || !has(self.maxUnavailable) || !({} && {})",
            is_zero("maxSurge"),
            is_zero("maxUnavailable")
        ),
        "message": "may not be 0 when maxSurge is 0",
        "fieldPath": ".maxUnavailable",
    }])
}

/// The selector matches the template; pods run and restart for ever.
fn workload_rules() -> [Value; 4] {
    let labels = "self.template.metadata.labels";
    let has_labels = format!("has(self.template.metadata) && has({labels})");
    let label = format!("{has_labels} && l in {labels}");
    [
        json!({
            "rule": format!(
                "!has(self.selector.matchLabels) || self.selector.matchLabels.all(l, \
                    {label} && {labels}[l] == self.selector.matchLabels[l])"
            ),
            "message": "does not match template.metadata.labels",
            "fieldPath": ".selector.matchLabels",
        }),
        json!({
            "rule": format!(
                "!has(self.selector.matchExpressions) || self.selector.matchExpressions.all(e, \
                    e.operator == 'In' ? {has_labels} && e.key in {labels} && has(e.values) && {labels}[e.key] in e.values : \
                    e.operator == 'NotIn' ? !({has_labels} && e.key in {labels} && has(e.values) && {labels}[e.key] in e.values) : \
                    e.operator == 'Exists' ? {has_labels} && e.key in {labels} : \
                    !({has_labels} && e.key in {labels}))"
            ),
            "message": "does not match template.metadata.labels",
            "fieldPath": ".selector.matchExpressions",
        }),
        json!({
            "rule": "!has(self.template.spec.restartPolicy) || self.template.spec.restartPolicy == 'Always'",
            "message": "must be Always",
            "fieldPath": ".template.spec.restartPolicy",
        }),
        json!({
            "rule": "!has(self.template.spec.activeDeadlineSeconds)",
            "message": "must not be given: these pods run until they are deleted",
            "fieldPath": ".template.spec.activeDeadlineSeconds",
        }),
    ]
}

fn merge(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

/// Adds `extra` to the object at `pointer`, which exists in the schema of the pinned Kubernetes version.
fn put(schema: &mut Schema, pointer: &str, extra: Value) {
    let target = if pointer.is_empty() {
        schema.as_object_mut()
    } else {
        schema.pointer_mut(pointer).and_then(Value::as_object_mut)
    };
    if let (Some(target), Value::Object(extra)) = (target, extra) {
        target.extend(extra);
    }
}
