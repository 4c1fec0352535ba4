//! PersistentVolumeClaim, PersistentVolume and StorageClass.

use serde_json::Value;

use super::super::findings::{Findings, fields, items};
use crate::schema::quantity::Quantity;

pub(super) fn check_claim(spec: &Value, old: Option<&Value>, findings: &mut Findings) {
    let storage = |spec: &Value| spec["resources"]["requests"]["storage"].as_str().and_then(Quantity::parse);
    if items(&spec["accessModes"]).next().is_none() {
        findings.required("spec.accessModes", "at least 1 access mode is required");
    }
    for mode in items(&spec["accessModes"]) {
        let modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
        findings.not_one_of("spec.accessModes", mode, &modes);
    }
    let (once, others): (Vec<&Value>, Vec<&Value>) =
        items(&spec["accessModes"]).partition(|mode| **mode == "ReadWriteOncePod");
    if !once.is_empty() && !others.is_empty() {
        findings.forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes");
    }
    match storage(spec) {
        None => findings.required("spec.resources[storage]", ""),
        Some(amount) if amount.billionths() <= 0 => {
            let value = &spec["resources"]["requests"]["storage"];
            findings.invalid("spec.resources[storage]", value, "must be greater than zero");
        }
        Some(_) => {}
    }
    if !spec["volumeMode"].is_null() {
        findings.not_one_of("spec.volumeMode", &spec["volumeMode"], &["Block", "Filesystem"]);
    }
    findings.selector(&spec["selector"], "spec.selector");
    if let Some(old) = old {
        check_claim_change(spec, old, findings);
    }
}

fn check_claim_change(spec: &Value, old: &Value, findings: &mut Findings) {
    let amount = |value: &Value| value["storage"].as_str().and_then(Quantity::parse).map_or(0, Quantity::billionths);
    let mut munged = spec.clone();
    let mut before = old["spec"].clone();
    if before["volumeName"].is_null() {
        before["volumeName"] = munged["volumeName"].take();
        munged["volumeName"] = before["volumeName"].clone();
    }
    if old["status"]["phase"] == "Bound" {
        munged["resources"]["requests"]["storage"] = before["resources"]["requests"]["storage"].clone();
        munged["volumeAttributesClassName"] = before["volumeAttributesClassName"].take();
        before["volumeAttributesClassName"] = munged["volumeAttributesClassName"].clone();
    }
    if munged != before {
        let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
                      claims";
        findings.forbidden("spec", detail);
    }
    let (new_size, old_size) = (amount(&spec["resources"]["requests"]), amount(&old["spec"]["resources"]["requests"]));
    if new_size < old_size && new_size <= amount(&old["status"]["capacity"]) {
        let detail = "field can not be less than status.capacity";
        findings.forbidden("spec.resources.requests.storage", detail);
    }
}

pub(super) fn check_storage_class(class: &Value, old: Option<&Value>, findings: &mut Findings) {
    let Some(old) = old else {
        if class["provisioner"].as_str().unwrap_or_default().is_empty() {
            findings.required("provisioner", "");
        }
        return;
    };
    let keys = ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"];
    for key in keys.into_iter().filter(|key| class[*key] != old[*key]) {
        // The server does not show what is given.
        findings.invalid(key, &Value::Null, "field is immutable");
    }
}

pub(super) fn check_volume(spec: &Value, findings: &mut Findings) {
    const COMMON: [&str; 9] = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ];
    if items(&spec["accessModes"]).next().is_none() {
        findings.required("spec.accessModes", "");
    }
    if fields(&spec["capacity"]).next().is_none() {
        findings.required("spec.capacity", "");
    }
    if spec["capacity"]["storage"].is_null() {
        findings.not_one_of("spec.capacity", &spec["capacity"], &["storage"]);
    }
    if fields(spec).all(|(key, _)| COMMON.contains(&key.as_str())) {
        findings.required("spec", "must specify a volume type");
    }
}
