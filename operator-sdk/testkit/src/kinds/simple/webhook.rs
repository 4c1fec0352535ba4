//! The webhooks of ValidatingWebhookConfiguration and MutatingWebhookConfiguration. Nobody calls them.

use serde_json::{Value, json};

use super::super::findings::{Findings, items};
use crate::names;

const REVIEWS: &str = "v1, v1beta1";
const TIMEOUT_SECONDS: std::ops::RangeInclusive<i64> = 1..=30;

/// What is wrong with the webhooks of a configuration.
pub(super) fn check(configuration: &Value, findings: &mut Findings) {
    let mut names: Vec<&Value> = Vec::new();
    for (index, webhook) in items(&configuration["webhooks"]).enumerate() {
        let path = format!("webhooks[{index}]");
        check_name(&webhook["name"], &format!("{path}.name"), findings);
        if names.contains(&&webhook["name"]) {
            findings.duplicate(format!("{path}.name"), &webhook["name"]);
        }
        names.push(&webhook["name"]);
        check_reviews(&webhook["admissionReviewVersions"], &format!("{path}.admissionReviewVersions"), findings);
        check_policies(webhook, &path, findings);
        check_client(&webhook["clientConfig"], &format!("{path}.clientConfig"), findings);
        for (index, rule) in items(&webhook["rules"]).enumerate() {
            check_rule(rule, &format!("{path}.rules[{index}]"), findings);
        }
        for key in ["namespaceSelector", "objectSelector"] {
            findings.selector(&webhook[key], &format!("{path}.{key}"));
        }
    }
}

fn check_name(name: &Value, path: &str, findings: &mut Findings) {
    match name.as_str().unwrap_or_default() {
        "" => findings.required(path, ""),
        text if text.split('.').count() < 3 => {
            findings.invalid(path, name, "should be a domain with at least three segments separated by dots");
        }
        text => findings.problems(path, text, names::subdomain_problems(text)),
    }
}

fn check_reviews(versions: &Value, path: &str, findings: &mut Findings) {
    if items(versions).next().is_none() {
        findings.required(path, &format!("must specify one of {REVIEWS}"));
    } else if !items(versions).any(|version| version == "v1" || version == "v1beta1") {
        findings.invalid(path, versions, format!("must include at least one of {REVIEWS}"));
    }
}

fn check_policies(webhook: &Value, path: &str, findings: &mut Findings) {
    if webhook["sideEffects"].is_null() {
        findings.required(format!("{path}.sideEffects"), "must specify one of None, NoneOnDryRun");
    }
    for (key, known) in [
        ("sideEffects", ["None", "NoneOnDryRun"]),
        ("failurePolicy", ["Fail", "Ignore"]),
        ("matchPolicy", ["Equivalent", "Exact"]),
        ("reinvocationPolicy", ["IfNeeded", "Never"]),
    ] {
        if !webhook[key].is_null() {
            findings.not_one_of(format!("{path}.{key}"), &webhook[key], &known);
        }
    }
    let timeout = &webhook["timeoutSeconds"];
    if timeout.as_i64().is_some_and(|seconds| !TIMEOUT_SECONDS.contains(&seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        findings.invalid(format!("{path}.timeoutSeconds"), timeout, detail);
    }
}

fn check_client(client: &Value, path: &str, findings: &mut Findings) {
    if client["url"].is_null() == client["service"].is_null() {
        findings.required(path, "exactly one of url or service is required");
        return;
    }
    let Some((scheme, _)) = client["url"].as_str().and_then(|url| url.split_once("://")) else { return };
    if scheme != "https" {
        let detail = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
        findings.invalid(format!("{path}.url"), &json!(scheme), detail);
    }
}

fn check_rule(rule: &Value, path: &str, findings: &mut Findings) {
    for key in ["apiGroups", "apiVersions", "operations", "resources"] {
        if items(&rule[key]).next().is_none() {
            findings.required(format!("{path}.{key}"), "");
        }
    }
    for (index, operation) in items(&rule["operations"]).enumerate() {
        let known = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
        findings.not_one_of(format!("{path}.operations[{index}]"), operation, &known);
    }
    findings.not_one_of(format!("{path}.scope"), &rule["scope"], &["*", "Cluster", "Namespaced"]);
}
