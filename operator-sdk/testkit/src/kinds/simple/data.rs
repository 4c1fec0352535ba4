//! ConfigMap and Secret.

use serde_json::{Map as JsonMap, Value, json};

use super::super::findings::{Findings, fields};
use crate::{base64, syntax};

const MAX_SIZE: usize = 1 << 20;

/// What is given as text becomes data.
pub(in crate::kinds) fn encode_texts(secret: &mut JsonMap<String, Value>) {
    let Some(texts) = secret.remove("stringData") else { return };
    let data = secret.entry("data").or_insert_with(|| json!({}));
    for (key, text) in fields(&texts) {
        data[key] = base64::encode(text.as_str().unwrap_or_default().as_bytes()).into();
    }
}

pub(super) fn check(kind: &str, new: &Value, old: Option<&Value>, findings: &mut Findings) {
    if let Some(old) = old {
        if kind == "Secret" {
            findings.immutable(&new["type"], &old["type"], "type");
        }
        if old["immutable"] == json!(true) {
            let detail = "field is immutable when `immutable` is set";
            if new["immutable"] != json!(true) {
                findings.forbidden("immutable", detail);
            }
            for key in ["data", "binaryData"].into_iter().filter(|key| new[*key] != old[*key]) {
                findings.forbidden(key, detail);
            }
        }
    }
    for bag in ["data", "binaryData"] {
        for (key, _) in fields(&new[bag]) {
            check_key(&format!("{bag}[{key}]"), key, findings);
            if bag == "data" && new["binaryData"].get(key).is_some() {
                let detail = "duplicate of key present in binaryData";
                findings.invalid(format!("data[{key}]"), &json!(key), detail);
            }
        }
    }
    let sizes =
        ["data", "binaryData"].into_iter().flat_map(|bag| fields(&new[bag])).map(|(_, value)| size(kind, value));
    if sizes.sum::<usize>() > MAX_SIZE {
        // So Go writes a path of nothing.
        let field = if kind == "Secret" { "data" } else { "[]" };
        findings.too_long(field, MAX_SIZE);
    }
    if kind == "Secret" {
        check_secret(new, findings);
    }
}

/// How many bytes a value is; those of a Secret are in base64.
fn size(kind: &str, value: &Value) -> usize {
    let length = value.as_str().map_or(0, str::len);
    if kind == "Secret" { length / 4 * 3 } else { length }
}

/// What is told of a Secret that passes: only whether a certificate looks like one.
pub(super) fn warnings(secret: &Value) -> Vec<String> {
    let is_certificate = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).contains("-----BEGIN ");
    let certificate = secret["data"]["tls.crt"].as_str().map(base64::decode);
    match certificate {
        Some(bytes) if secret["type"] == "kubernetes.io/tls" && !is_certificate(bytes.clone()) => {
            vec!["tls: failed to find any PEM data in certificate input".to_owned()]
        }
        _ => Vec::new(),
    }
}

fn check_key(path: &str, key: &str, findings: &mut Findings) {
    let mut problems = Vec::new();
    if key.len() > 253 {
        problems.push("must be no more than 253 bytes".to_owned());
    }
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        problems.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
             'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    } else if key == "." || key == ".." {
        problems.push(format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        problems.push("must not start with '..'".to_owned());
    }
    findings.problems(path, key, problems);
}

fn check_secret(secret: &Value, findings: &mut Findings) {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    if secret["type"] == "kubernetes.io/service-account-token"
        && secret["metadata"]["annotations"][ACCOUNT].as_str().unwrap_or_default().is_empty()
    {
        findings.required(format!("metadata.annotations[{ACCOUNT}]"), "");
    }
    let required: &[&str] = match secret["type"].as_str().unwrap_or_default() {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/basic-auth" if ["username", "password"].iter().all(|key| secret["data"].get(key).is_none()) => {
            return ["username", "password"].into_iter().for_each(|key| findings.required(format!("data[{key}]"), ""));
        }
        _ => &[],
    };
    for key in required.iter().filter(|key| secret["data"].get(**key).is_none()) {
        findings.required(format!("data[{key}]"), "");
    }
    for key in [".dockercfg", ".dockerconfigjson"].into_iter().filter(|key| required.contains(key)) {
        check_json(&secret["data"][key], &format!("data[{key}]"), findings);
    }
}

/// Bytes that have to be JSON.
fn check_json(data: &Value, path: &str, findings: &mut Findings) {
    let Some(bytes) = data.as_str().map(base64::decode) else { return };
    let problem = match serde_json::from_slice::<JsonMap<String, Value>>(&bytes) {
        Ok(_) => return,
        Err(error) => syntax::problem(&bytes).unwrap_or_else(|| error.to_string()),
    };
    findings.invalid(path, &json!("<secret contents redacted>"), problem);
}
