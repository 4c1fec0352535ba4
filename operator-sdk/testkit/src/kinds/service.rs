//! Service: ports, kinds of service, and addresses that the server gives.
//!
//! Addresses are made of the service's uid, so that they differ without a register of them; ports of nodes likewise.

mod families;

use std::net::IpAddr;

use serde_json::{Map as JsonMap, Value, json};
use sha2::{Digest, Sha256};

use super::{
    default::or_set,
    findings::{Findings, items},
};
use crate::{
    cause::Cause,
    resource::{Part, Rules},
};

/// What a service does.
pub(super) struct Service;

impl Rules for Service {
    fn default(&self, object: &mut Value) {
        super::default::apply_defaults(&super::schema_of("core.v1.Service"), object);
    }

    fn prepare(&self, new: &mut Value, old: Option<&Value>, part: Part) {
        if part == Part::Status {
            return;
        }
        if old.is_none() {
            new["status"] = json!({"loadBalancer": {}});
        }
        // An address that was given back is not the one that is given next.
        let life = old.filter(|old| old["spec"]["clusterIP"].is_null()).map(|old| &old["metadata"]["resourceVersion"]);
        let digest = Sha256::digest(format!("{} {}", new["metadata"]["uid"], life.unwrap_or(&Value::Null)));
        let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) else { return };
        let old = old.map_or(&Value::Null, |old| &old["spec"]);
        drop_what_the_type_has_not(spec, old);
        if spec.get("type") == Some(&json!("ExternalName")) {
            spec.remove("internalTrafficPolicy");
            for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if spec.get(key) == old.get(key) {
                    spec.remove(key);
                }
            }
            return;
        }
        give_address(spec, old, &format!("10.96.{}.{}", digest[0], digest[1].max(2)));
        give_node_ports(spec, old, 30000 + u16::from_be_bytes([digest[2], digest[3]]) % 2000);
    }

    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause> {
        let mut findings = Findings::default();
        if part == Part::Main {
            families::check(&new["spec"], &mut findings);
            if !findings.0.is_empty() {
                return findings.0;
            }
            check(&new["spec"], &mut findings);
            if let Some(old) = old {
                check_change(&new["spec"], &old["spec"], &mut findings);
            }
        }
        findings.0
    }
}

/// Sets what is not given.
pub(super) fn set_defaults(service: &mut JsonMap<String, Value>) {
    let ingresses = service.get_mut("status").and_then(|status| status.pointer_mut("/loadBalancer/ingress"));
    for ingress in ingresses.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(ingress) = ingress.as_object_mut().filter(|ingress| ingress.contains_key("ip")) {
            or_set(ingress, "ipMode", "VIP");
        }
    }
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else { return };
    or_set(spec, "sessionAffinity", "None");
    or_set(spec, "type", "ClusterIP");
    match spec.get("sessionAffinity").and_then(Value::as_str) {
        Some("None") => _ = spec.remove("sessionAffinityConfig"),
        Some("ClientIP") => or_set(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10800}})),
        _ => {}
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let number = port["port"].clone();
        let Some(port) = port.as_object_mut() else { continue };
        or_set(port, "protocol", "TCP");
        if port.get("targetPort").is_none_or(|target| *target == json!(0) || *target == json!("")) {
            port.insert("targetPort".to_owned(), number);
        }
    }
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_external = matches!(kind.as_str(), "NodePort" | "LoadBalancer");
    if is_external || (kind == "ClusterIP" && spec.contains_key("externalIPs")) {
        or_set(spec, "externalTrafficPolicy", "Cluster");
    }
    if is_external || kind == "ClusterIP" {
        or_set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        or_set(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// What the former type had and this one has not, goes with it.
fn drop_what_the_type_has_not(spec: &mut JsonMap<String, Value>, old: &Value) {
    let is_external = |kind: Option<&Value>| matches!(kind.and_then(Value::as_str), Some("NodePort" | "LoadBalancer"));
    if is_external(old.get("type")) && !is_external(spec.get("type")) {
        for key in ["externalTrafficPolicy", "allocateLoadBalancerNodePorts"] {
            if spec.get(key) == old.get(key) {
                spec.remove(key);
            }
        }
    }
}

fn give_address(spec: &mut JsonMap<String, Value>, old: &Value, address: &str) {
    let given =
        |value: Option<&Value>| value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    // Who writes only the one address means the list, too.
    if spec.get("clusterIPs") == old.get("clusterIPs") && given(spec.get("clusterIP")).is_some() {
        spec.remove("clusterIPs");
    }
    let known = given(spec.get("clusterIP")).or_else(|| given(old.get("clusterIP")));
    if let Some(known) = &known {
        spec.insert("clusterIP".to_owned(), known.clone().into());
    }
    families::set(spec, old);
    let is_list_alone = known.is_none() && items(spec.get("clusterIPs").unwrap_or(&Value::Null)).next().is_some();
    if is_list_alone || known.is_none() && !families::has_address(spec) {
        return;
    }
    let address = known.unwrap_or_else(|| address.to_owned());
    spec.insert("clusterIP".to_owned(), address.clone().into());
    or_set(spec, "clusterIPs", json!([address]));
}

fn give_node_ports(spec: &mut JsonMap<String, Value>, old: &Value, first: u16) {
    let has_ports = match spec.get("type").and_then(Value::as_str) {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec.get("allocateLoadBalancerNodePorts") != Some(&json!(false)),
        _ => false,
    };
    let old: Vec<Value> = items(&old["ports"]).cloned().collect();
    for (index, port) in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        let Some(port) = port.as_object_mut() else { continue };
        if !has_ports {
            port.remove("nodePort");
            continue;
        }
        let before =
            old.iter().find(|old| old.get("port") == port.get("port") && old.get("protocol") == port.get("protocol"));
        let number = before.and_then(|old| old.get("nodePort")).cloned();
        let fresh = 30000 + (usize::from(first) - 30000 + index) % 2768;
        or_set(port, "nodePort", number.unwrap_or_else(|| json!(fresh)));
    }
}

fn check(spec: &Value, findings: &mut Findings) {
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let kind = spec["type"].as_str().unwrap_or_default();
    let is_headless = spec["clusterIP"] == "None";
    let ports = items(&spec["ports"]).count();
    match kind {
        "ExternalName" if spec["externalName"].as_str().unwrap_or_default().is_empty() => {
            findings.required("spec.externalName", "");
        }
        "ExternalName" => {}
        _ if ports == 0 && !is_headless => findings.required("spec.ports", ""),
        "LoadBalancer" | "NodePort" if is_headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            findings.invalid("spec.clusterIPs[0]", &json!("None"), detail);
        }
        _ => {}
    }
    check_address(spec, findings);
    check_ports(spec, ports > 1, findings);
    findings.labels(&spec["selector"], "spec.selector");
    findings.not_one_of("spec.sessionAffinity", &spec["sessionAffinity"], &["ClientIP", "None"]);
    findings.not_one_of("spec.type", &spec["type"], &kinds);
}

fn check_address(spec: &Value, findings: &mut Findings) {
    let Some(address) = spec["clusterIP"].as_str().filter(|address| !matches!(*address, "" | "None")) else { return };
    match address.parse::<IpAddr>() {
        Err(_) => {
            let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            findings.invalid("spec.clusterIPs[0]", &json!(address), detail);
        }
        Ok(IpAddr::V4(parsed)) if parsed.octets()[..2] == [10, 96] => {}
        Ok(_) => {
            let detail =
                format!("failed to allocate IP {address}: the provided network does not match the current range");
            findings.invalid("spec.clusterIPs", &spec["clusterIPs"], detail);
        }
    }
}

fn check_ports(spec: &Value, needs_names: bool, findings: &mut Findings) {
    let mut names: Vec<&str> = Vec::new();
    let mut numbers: Vec<(&Value, &Value)> = Vec::new();
    for (index, port) in items(&spec["ports"]).enumerate() {
        let path = format!("spec.ports[{index}]");
        match port["name"].as_str().unwrap_or_default() {
            "" if needs_names => findings.required(format!("{path}.name"), ""),
            "" => {}
            name => {
                findings.label(&format!("{path}.name"), name);
                if names.contains(&name) {
                    findings.duplicate(format!("{path}.name"), &json!(name));
                }
                names.push(name);
            }
        }
        findings.port_number(format!("{path}.port"), &port["port"]);
        findings.not_one_of(format!("{path}.protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"]);
        findings.port(&format!("{path}.targetPort"), &port["targetPort"]);
        let identity = (&port["protocol"], &port["port"]);
        if numbers.contains(&identity) {
            let value = json!({
                "Name": "", "Protocol": identity.0, "AppProtocol": null, "Port": identity.1, "TargetPort": 0, "NodePort": 0,
            });
            findings.duplicate(path, &value);
        }
        numbers.push(identity);
    }
}

/// An address stays, unless the service comes to have none or had none.
fn check_change(new: &Value, old: &Value, findings: &mut Findings) {
    if new["type"] == "ExternalName" || old["type"] == "ExternalName" {
        return;
    }
    if new["clusterIP"] != old["clusterIP"] {
        let detail = "may not change once set";
        findings.invalid("spec.clusterIPs[0]", &new["clusterIPs"], detail);
    }
}
