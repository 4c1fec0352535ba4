//! The subresources of a pod that act: `eviction`, under its PodDisruptionBudget, and `binding`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Call, Reply, Server,
    create::seconds,
    decode,
    options::{DeleteOptions, WriteOptions},
    update::wrong_uid,
};
use crate::{
    apply::{self, Writer},
    failure::Failure,
    object::Object,
    request::Request,
    selector::Selector,
    store::{Change, Collection, Key, Write},
};

/// What a disruption budget says to an eviction.
enum Verdict {
    /// It may go, and the budget is not used.
    Free,
    /// It may go on this budget.
    Counted(Arc<Object>),
}

impl Server {
    pub(super) fn evict(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        let options = WriteOptions::parse(call.request, "CreateOptions")?;
        let eviction = decode::parse(call.request)?;
        check_name(call, &eviction, "Eviction")?;
        let pod = self.live(call.target)?;
        let mut deletion = Request::new(http::Method::DELETE, "");
        if !eviction["deleteOptions"].is_null() {
            deletion = deletion.with_body(&eviction["deleteOptions"]);
        }
        let mut deletion = DeleteOptions::parse(&deletion)?;
        deletion.is_dry_run |= options.is_dry_run;
        if let Verdict::Counted(budget) = self.judge_eviction(&pod)?
            && !deletion.is_dry_run
        {
            self.use_budget(call, &budget, pod.name());
        }
        let mut pod = pod;
        if !deletion.is_dry_run {
            pod = self.mark_disrupted(call, &pod);
        }
        self.delete_object(call, &deletion, &pod)?;
        Ok(success())
    }

    pub(super) fn bind(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        let options = WriteOptions::parse(call.request, "CreateOptions")?;
        let binding = decode::parse(call.request)?;
        check_name(call, &binding, "Binding")?;
        let pod = self.live(call.target)?;
        let node = binding["target"]["name"].as_str().unwrap_or_default();
        let assigned = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        let why = if !pod["metadata"]["deletionTimestamp"].is_null() {
            Some(format!("pod {} is being deleted, cannot be assigned to a host", pod.name()))
        } else if !assigned.is_empty() {
            Some(format!("pod {} is already assigned to node {assigned:?}", pod.name()))
        } else if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
            Some(format!("pod {} has non-empty .spec.schedulingGates", pod.name()))
        } else {
            None
        };
        let uid = binding["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() && uid != pod.uid() {
            return Err(wrong_uid(call, uid, &pod));
        }
        if let Some(why) = why {
            let mut resource = call.target.served.resource.clone();
            resource.plural.push_str("/binding");
            return Err(Failure::conflict(&resource, pod.name(), &why));
        }
        let mut bound = pod.value().clone();
        bound["spec"]["nodeName"] = node.into();
        let condition = json!({ "type": "PodScheduled", "status": "True", "lastProbeTime": null });
        set_condition(&mut bound, condition, call);
        if !options.is_dry_run {
            self.commit(call, call.target.key(), Change::Updated, bound);
        }
        Ok(success())
    }

    fn judge_eviction(&self, pod: &Object) -> Result<Verdict, Failure> {
        let is_disrupted = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"))
            || !pod["metadata"]["deletionTimestamp"].is_null();
        if is_disrupted {
            return Ok(Verdict::Free);
        }
        let budgets: Vec<Arc<Object>> = self
            .store
            .list(&budgets(), Some(pod.namespace()))
            .map(|(_, budget)| budget)
            .filter(|budget| Selector::from_object(&budget["spec"]["selector"]).matches(pod))
            .cloned()
            .collect();
        let [budget] = budgets.as_slice() else {
            let why =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return if budgets.is_empty() { Ok(Verdict::Free) } else { Err(Failure::new(500, "", why)) };
        };
        let number = |field: &str| budget["status"][field].as_i64().unwrap_or_default();
        if !is_ready(pod) {
            let (is, wanted) = (number("currentHealthy"), number("desiredHealthy"));
            let is_free = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" || is >= wanted && wanted > 0;
            if is_free {
                return Ok(Verdict::Free);
            }
        }
        check_budget(budget)?;
        Ok(Verdict::Counted(budget.clone()))
    }

    fn use_budget(&mut self, call: Call<'_>, budget: &Object, pod: &str) {
        let mut used = budget.value().clone();
        let allowed = used["status"]["disruptionsAllowed"].as_i64().unwrap_or_default();
        used["status"]["disruptionsAllowed"] = (allowed - 1).into();
        used["status"]["disruptedPods"][pod] = seconds(call.now).into();
        if allowed == 1 {
            let condition = json!({ "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods",
                "message": "", "observedGeneration": budget["metadata"]["generation"] });
            set_condition(&mut used, condition, call);
        }
        let key = Key::new(budget.namespace(), budget.name());
        let (time, request) = (call.now, call.request.id);
        if let Some(served) = self.kinds.get("policy", "v1", "poddisruptionbudgets") {
            let writer = Writer { manager: "kube-apiserver", subresource: "status" };
            used = apply::update(Some(budget), used, &served.resource, writer, time);
        }
        self.commit_to(Write { time, collection: budgets(), key, change: Change::Updated, object: used, request });
    }

    fn mark_disrupted(&mut self, call: Call<'_>, pod: &Object) -> Arc<Object> {
        let mut marked = pod.value().clone();
        let condition = json!({ "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastProbeTime": null });
        set_condition(&mut marked, condition, call);
        self.commit(call, call.target.key(), Change::Updated, marked).after.clone()
    }
}

fn check_budget(budget: &Object) -> Result<(), Failure> {
    let name = budget.name();
    let status = &budget["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    let refuse = |cause: String| {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        Failure::too_many_requests(message, 10).because("DisruptionBudget", cause, "")
    };
    if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or_default() {
        return Err(refuse(format!("The disruption budget {name} is still being processed by the server.")));
    }
    if number("disruptionsAllowed") < 0 {
        let mut failure = Failure::new(403, "Forbidden", "pdb disruptions allowed is negative");
        failure.details.name = name.to_owned();
        return Err(failure);
    }
    if number("disruptionsAllowed") == 0 {
        let (wanted, is) = (number("desiredHealthy"), number("currentHealthy"));
        let mut failure =
            refuse(format!("The disruption budget {name} needs {wanted} healthy pods and has {is} currently"));
        failure.details.retry_after_seconds = 0;
        return Err(failure);
    }
    Ok(())
}

fn check_name(call: Call<'_>, body: &Value, kind: &str) -> Result<(), Failure> {
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    if name != call.target.name {
        return Err(Failure::bad_request(format!("name in URL does not match name in {kind} object")));
    }
    Ok(())
}

fn is_ready(pod: &Object) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn set_condition(object: &mut Value, mut condition: Value, call: Call<'_>) {
    condition["lastTransitionTime"] = seconds(call.now).into();
    match &mut object["status"]["conditions"] {
        Value::Array(conditions) => {
            let place = conditions.iter_mut().find(|present| present["type"] == condition["type"]);
            match place {
                Some(present) if present["status"] == condition["status"] => {
                    condition["lastTransitionTime"] = present["lastTransitionTime"].clone();
                    *present = condition;
                }
                Some(present) => *present = condition,
                None => conditions.push(condition),
            }
        }
        conditions => *conditions = json!([condition]),
    }
}

fn budgets() -> Collection {
    Collection::new("policy", "poddisruptionbudgets")
}

fn success() -> Reply {
    Reply::value(201, json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }))
}
