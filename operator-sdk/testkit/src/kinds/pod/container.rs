//! Containers: names, ports, environment, mounts, probes, resources.

use serde_json::{Value, json};

use super::super::findings::{Findings, fields, go_value, items};
use crate::{names, schema::quantity::Quantity};

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
const NOT_OF_CONTAINERS: &str = "must be a standard resource for containers";
const ENV_SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

pub(super) fn check(spec: &Value, path: &str, findings: &mut Findings) {
    let volumes: Vec<&str> = items(&spec["volumes"]).filter_map(|volume| volume["name"].as_str()).collect();
    let containers = format!("{path}.containers");
    let is_pod = path == "spec";
    if items(&spec["containers"]).next().is_none() {
        findings.required(containers.as_str(), "");
    }
    let mut names: Vec<&str> = Vec::new();
    let mut host_ports: Vec<String> = Vec::new();
    for (index, container) in items(&spec["containers"]).enumerate() {
        let path = format!("{containers}[{index}]");
        check_common(container, &volumes, is_pod, &path, findings);
        check_name_is_new(container, &mut names, &path, findings);
        check_probes(container, &path, findings);
        check_host_ports(container, &mut host_ports, &path, findings);
    }
    for (index, container) in items(&spec["initContainers"]).enumerate() {
        let path = format!("{path}.initContainers[{index}]");
        check_common(container, &volumes, is_pod, &path, findings);
        check_name_is_new(container, &mut names, &path, findings);
        if container["restartPolicy"] == "Always" {
            check_probes(container, &path, findings);
            continue;
        }
        for key in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if !container[key].is_null() {
                let detail = "may not be set for init containers without restartPolicy=Always";
                findings.forbidden(format!("{path}.{key}"), detail);
            }
        }
    }
}

fn check_common(container: &Value, volumes: &[&str], is_pod: bool, path: &str, findings: &mut Findings) {
    match container["name"].as_str().unwrap_or_default() {
        "" => findings.required(format!("{path}.name"), ""),
        name => findings.label(&format!("{path}.name"), name),
    }
    let image = container["image"].as_str().unwrap_or_default();
    if image.is_empty() {
        findings.required(format!("{path}.image"), "");
    } else if is_pod && image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        findings.invalid(format!("{path}.image"), &container["image"], detail);
    }
    let policies = ["File", "FallbackToLogsOnError"];
    findings.not_one_of(format!("{path}.terminationMessagePolicy"), &container["terminationMessagePolicy"], &policies);
    check_ports(&container["ports"], &format!("{path}.ports"), findings);
    check_environment(&container["env"], &format!("{path}.env"), findings);
    check_mounts(&container["volumeMounts"], volumes, &format!("{path}.volumeMounts"), findings);
    let policies = ["Always", "IfNotPresent", "Never"];
    findings.not_one_of(format!("{path}.imagePullPolicy"), &container["imagePullPolicy"], &policies);
    check_resources(&container["resources"], &format!("{path}.resources"), findings);
    check_security(&container["securityContext"], &format!("{path}.securityContext"), findings);
}

fn check_security(context: &Value, path: &str, findings: &mut Findings) {
    for key in ["runAsUser", "runAsGroup"] {
        let id = &context[key];
        if id.as_i64().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
            findings.invalid(format!("{path}.{key}"), id, format!("must be between 0 and {}, inclusive", i32::MAX));
        }
    }
    if context["allowPrivilegeEscalation"] == json!(false) && context["privileged"] == json!(true) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        findings.invalid(path, &go_value(context), detail);
    }
}

fn check_name_is_new<'a>(container: &'a Value, names: &mut Vec<&'a str>, path: &str, findings: &mut Findings) {
    let name = container["name"].as_str().unwrap_or_default();
    if names.contains(&name) {
        findings.duplicate(format!("{path}.name"), &json!(name));
    }
    names.push(name);
}

fn check_ports(ports: &Value, path: &str, findings: &mut Findings) {
    let mut names: Vec<&str> = Vec::new();
    for (index, port) in items(ports).enumerate() {
        let path = format!("{path}[{index}]");
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty()) {
            let before = findings.0.len();
            findings.port_name(&format!("{path}.name"), name);
            if before == findings.0.len() && names.contains(&name) {
                findings.duplicate(format!("{path}.name"), &json!(name));
            }
            names.push(name);
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => findings.required(format!("{path}.containerPort"), ""),
            Some(_) => findings.port_number(format!("{path}.containerPort"), &port["containerPort"]),
        }
        if port["hostPort"].as_i64().is_some_and(|port| port != 0) {
            findings.port_number(format!("{path}.hostPort"), &port["hostPort"]);
        }
        findings.not_one_of(format!("{path}.protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
    }
}

fn check_host_ports(container: &Value, seen: &mut Vec<String>, path: &str, findings: &mut Findings) {
    for (index, port) in items(&container["ports"]).enumerate() {
        let Some(number) = port["hostPort"].as_i64().filter(|number| *number != 0) else { continue };
        let protocol = port["protocol"].as_str().unwrap_or_default();
        let identity = format!("{protocol}/{}/{number}", port["hostIP"].as_str().unwrap_or_default());
        if seen.contains(&identity) {
            findings.duplicate(format!("{path}.ports[{index}].hostPort"), &json!(identity));
        }
        seen.push(identity);
    }
}

/// What is told of containers that pass.
pub(in crate::kinds) fn warnings(spec: &Value, path: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for key in ["containers", "initContainers"] {
        for (index, container) in items(&spec[key]).enumerate() {
            let path = format!("{path}.{key}[{index}]");
            warn_of_ports(&container["ports"], &format!("{path}.ports"), &mut warnings);
            warn_of_variables(&container["env"], &format!("{path}.env"), &mut warnings);
        }
    }
    warnings
}

fn warn_of_ports(ports: &Value, path: &str, warnings: &mut Vec<String>) {
    let mut seen: Vec<(&Value, &Value)> = Vec::new();
    for (index, port) in items(ports).enumerate() {
        let identity = (&port["containerPort"], &port["protocol"]);
        if let Some(first) = seen.iter().position(|seen| *seen == identity) {
            warnings.push(format!("{path}[{index}]: duplicate port definition with {path}[{first}]"));
        }
        seen.push(identity);
    }
}

fn warn_of_variables(variables: &Value, path: &str, warnings: &mut Vec<String>) {
    let mut seen: Vec<&Value> = Vec::new();
    for (index, variable) in items(variables).enumerate() {
        let name = &variable["name"];
        if seen.contains(&name) {
            let name = name.as_str().unwrap_or_default();
            warnings.push(format!(
                "{path}[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
        seen.push(name);
    }
}

fn check_environment(variables: &Value, path: &str, findings: &mut Findings) {
    for (index, variable) in items(variables).enumerate() {
        let path = format!("{path}[{index}]");
        match variable["name"].as_str().unwrap_or_default() {
            "" => findings.required(format!("{path}.name"), ""),
            name if name.bytes().any(|byte| !(b' '..=b'~').contains(&byte) || byte == b'=') => {
                let detail =
                    "a valid environment variable name must consist only of printable ASCII characters other than '='";
                findings.invalid(format!("{path}.name"), &json!(name), detail);
            }
            _ => {}
        }
        let source = &variable["valueFrom"];
        if source.is_null() {
            continue;
        }
        let path = format!("{path}.valueFrom");
        check_field(&source["fieldRef"], &format!("{path}.fieldRef"), findings);
        let given = ENV_SOURCES.iter().filter(|key| !source[**key].is_null()).count();
        let has_value = !variable["value"].as_str().unwrap_or_default().is_empty();
        let detail = match given {
            0 => {
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            }
            _ if has_value => "may not be specified when `value` is not empty",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        findings.invalid(path, &json!(""), detail);
    }
}

/// A field of the pod that a container may see.
fn check_field(reference: &Value, path: &str, findings: &mut Findings) {
    const FIELDS: [&str; 12] = [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
        "metadata.labels",
        "metadata.annotations",
        "spec.hostNetwork",
    ];
    if reference.is_null() {
        return;
    }
    let field = reference["fieldPath"].as_str().unwrap_or_default();
    let is_entry = ["metadata.labels['", "metadata.annotations['"].iter().any(|start| field.starts_with(start));
    match field {
        "" => findings.required(format!("{path}.fieldPath"), ""),
        _ if is_entry || FIELDS.contains(&field) => {}
        _ => {
            let detail = format!("error converting fieldPath: field label not supported: {field}");
            findings.invalid(format!("{path}.fieldPath"), &json!(field), detail);
        }
    }
}

fn check_mounts(mounts: &Value, volumes: &[&str], path: &str, findings: &mut Findings) {
    let mut folders: Vec<&str> = Vec::new();
    for (index, mount) in items(mounts).enumerate() {
        let path = format!("{path}[{index}]");
        let name = mount["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            findings.required(format!("{path}.name"), "");
        }
        if !volumes.contains(&name) {
            findings.not_found(format!("{path}.name"), &json!(name));
        }
        let folder = mount["mountPath"].as_str().unwrap_or_default();
        if folder.is_empty() {
            findings.required(format!("{path}.mountPath"), "");
        }
        if folders.contains(&folder) {
            findings.invalid(format!("{path}.mountPath"), &json!(folder), "must be unique");
        }
        folders.push(folder);
    }
}

fn check_probes(container: &Value, path: &str, findings: &mut Findings) {
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[key];
        if probe.is_null() {
            continue;
        }
        let path = format!("{path}.{key}");
        check_handler(probe, &path, findings);
        for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
        {
            findings.not_negative(probe, &path, field);
        }
        let grace = &probe["terminationGracePeriodSeconds"];
        if grace.as_i64().is_some_and(|seconds| seconds <= 0) {
            findings.invalid(format!("{path}.terminationGracePeriodSeconds"), grace, "must be greater than 0");
        }
        match key {
            "readinessProbe" if !grace.is_null() => {
                let detail = "must not be set for readinessProbes";
                findings.invalid(format!("{path}.terminationGracePeriodSeconds"), grace, detail);
            }
            "livenessProbe" | "startupProbe" if probe["successThreshold"] != 1 => {
                findings.invalid(format!("{path}.successThreshold"), &probe["successThreshold"], "must be 1");
            }
            _ => {}
        }
    }
    for key in ["postStart", "preStop"] {
        let handler = &container["lifecycle"][key];
        if !handler.is_null() {
            check_handler(handler, &format!("{path}.lifecycle.{key}"), findings);
        }
    }
}

fn check_handler(handler: &Value, path: &str, findings: &mut Findings) {
    let given: Vec<&str> = HANDLERS.into_iter().filter(|key| !handler[*key].is_null()).collect();
    for key in given.iter().skip(1) {
        findings.forbidden(format!("{path}.{key}"), "may not specify more than 1 handler type");
    }
    let Some(first) = given.first() else {
        return findings.required(path, "must specify a handler type");
    };
    let (action, path) = (&handler[*first], format!("{path}.{first}"));
    match *first {
        "exec" if items(&action["command"]).next().is_none() => findings.required(format!("{path}.command"), ""),
        "httpGet" => {
            findings.port(&format!("{path}.port"), &action["port"]);
            findings.not_one_of(format!("{path}.scheme"), &action["scheme"], &["HTTP", "HTTPS"]);
        }
        "tcpSocket" => findings.port(&format!("{path}.port"), &action["port"]),
        "grpc" => findings.port_number(format!("{path}.port"), &action["port"]),
        _ => {}
    }
}

fn check_resources(resources: &Value, path: &str, findings: &mut Findings) {
    let amount = |value: &Value| value.as_str().and_then(Quantity::parse);
    for key in ["limits", "requests"] {
        for (name, value) in fields(&resources[key]) {
            let path = format!("{path}.{key}[{name}]");
            if !is_of_containers(name) {
                findings.problems(&path, name, names::qualified_name_problems(name));
                if !name.contains('/') {
                    let problems = ["must be a standard resource type or fully qualified", NOT_OF_CONTAINERS];
                    findings.problems(&path, name, problems.map(str::to_owned).to_vec());
                }
            }
            if amount(value).is_some_and(Quantity::is_negative) {
                findings.invalid(path, value, "must be greater than or equal to 0");
            }
        }
    }
    for (name, request) in fields(&resources["requests"]) {
        let limit = &resources["limits"][name];
        if let (Some(asked), Some(most)) = (amount(request), amount(limit))
            && asked.billionths() > most.billionths()
        {
            let limit = limit.as_str().unwrap_or_default();
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            findings.invalid(format!("{path}.requests"), request, detail);
        }
    }
}

fn is_of_containers(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}
