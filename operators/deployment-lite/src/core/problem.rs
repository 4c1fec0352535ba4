//! What keeps an object from being acted on, though the API server let it pass: the rules of the schema once more
//! (D69, R19), for objects from before a rule, or of an installation without it. Such an object says so in a condition,
//! and nothing of it is touched.

use k8s_openapi::{
    api::{
        apps::v1::{DeploymentSpec, ReplicaSetSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use operator_sdk::selector;

/// The type of the condition that tells of it: what `kubectl` and others know as the sign of something stuck.
pub(crate) const STALLED: &str = "Stalled";

/// Why nothing is done for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// One word in CamelCase, for programs.
    pub(crate) reason: &'static str,
    /// The field, what is wrong with it, and the way out.
    pub(crate) message: String,
}

impl Problem {
    /// Something that it depends on does not fit its type; says which and why.
    pub(crate) fn unreadable(message: String) -> Self {
        Self { reason: "Unreadable", message }
    }

    /// True if one of these conditions, each its type and its message, tells of it already.
    pub(crate) fn is_told<'a>(&self, conditions: impl IntoIterator<Item = [&'a Option<String>; 2]>) -> bool {
        let mut conditions = conditions.into_iter().map(|parts| parts.map(Option::as_deref));
        conditions.any(|parts| parts == [Some(STALLED), Some(self.message.as_str())])
    }

    fn invalid(field: &str, message: &str) -> Self {
        Self { reason: "InvalidSpec", message: format!("spec.{field}: {message}") }
    }
}

/// The first rule that a Deployment's spec breaks.
pub(crate) fn of_deployment(spec: &DeploymentSpec) -> Option<Problem> {
    if is_empty(&spec.selector) {
        let message = "This deployment is selecting all pods. A non-empty selector is required.".to_owned();
        return Some(Problem { reason: "SelectingAll", message });
    }
    let deadline = spec.progress_deadline_seconds;
    negative(&[
        ("replicas", spec.replicas),
        ("minReadySeconds", spec.min_ready_seconds),
        ("revisionHistoryLimit", spec.revision_history_limit),
        ("progressDeadlineSeconds", deadline),
    ])
    .or_else(|| of_pods(&spec.selector, &spec.template))
    .or_else(|| {
        let is_too_short = deadline.is_some_and(|deadline| deadline <= spec.min_ready_seconds.unwrap_or(0));
        is_too_short.then(|| Problem::invalid("progressDeadlineSeconds", "must be greater than minReadySeconds"))
    })
    .or_else(|| of_strategy(spec))
}

/// The first rule that a ReplicaSet's spec breaks.
pub(crate) fn of_replica_set(spec: &ReplicaSetSpec) -> Option<Problem> {
    if is_empty(&spec.selector) {
        return Some(Problem::invalid("selector", "must not be empty: give matchLabels or matchExpressions"));
    }
    let Some(template) = &spec.template else { return Some(Problem::invalid("template", "is missing")) };
    negative(&[("replicas", spec.replicas), ("minReadySeconds", spec.min_ready_seconds)])
        .or_else(|| of_pods(&spec.selector, template))
}

/// It would match everything.
fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.iter().flatten().next().is_none()
        && selector.match_expressions.iter().flatten().next().is_none()
}

fn negative(numbers: &[(&str, Option<i32>)]) -> Option<Problem> {
    let (field, _) = numbers.iter().find(|(_, number)| number.is_some_and(|number| number < 0))?;
    Some(Problem::invalid(field, "must be greater than or equal to 0"))
}

/// Pods that the selector does not match would be let go as soon as they are made, and made again without end.
fn of_pods(selector: &LabelSelector, template: &PodTemplateSpec) -> Option<Problem> {
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if !selector::matches(selector, labels) {
        return Some(Problem::invalid("selector", "does not match template.metadata.labels; make them agree"));
    }
    let spec = template.spec.as_ref()?;
    if spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always") {
        return Some(Problem::invalid("template.spec.restartPolicy", "must be Always"));
    }
    let has_end = spec.active_deadline_seconds.is_some();
    has_end.then(|| Problem::invalid("template.spec.activeDeadlineSeconds", "must not be given"))
}

fn of_strategy(spec: &DeploymentSpec) -> Option<Problem> {
    let strategy = spec.strategy.as_ref()?;
    let limits = strategy.rolling_update.as_ref();
    match strategy.type_.as_deref() {
        None | Some("RollingUpdate") => {}
        Some("Recreate") => {
            let message = "must not be given when strategy.type is Recreate: set it to null";
            return limits.map(|_| Problem::invalid("strategy.rollingUpdate", message));
        }
        Some(_) => return Some(Problem::invalid("strategy.type", "must be RollingUpdate or Recreate")),
    }
    let fields =
        [("maxSurge", limits?.max_surge.as_ref(), i32::MAX), ("maxUnavailable", limits?.max_unavailable.as_ref(), 100)];
    for (field, amount, percent_max) in fields {
        if amount.is_some_and(|amount| !is_amount(amount, percent_max)) {
            let field = format!("strategy.rollingUpdate.{field}");
            return Some(Problem::invalid(&field, "must be a number of at least 0 or a percentage such as 25%"));
        }
    }
    let is_zero = |amount: Option<&IntOrString>| amount.is_some_and(|amount| number(amount).is_some_and(|n| n == 0));
    let is_stuck = is_zero(limits?.max_surge.as_ref()) && is_zero(limits?.max_unavailable.as_ref());
    is_stuck.then(|| Problem::invalid("strategy.rollingUpdate.maxUnavailable", "may not be 0 when maxSurge is 0"))
}

fn is_amount(amount: &IntOrString, percent_max: i32) -> bool {
    let is_percentage = matches!(amount, IntOrString::String(_));
    number(amount).is_some_and(|number| number >= 0 && (!is_percentage || number <= percent_max))
}

/// A number, or that of a percentage.
fn number(amount: &IntOrString) -> Option<i32> {
    match amount {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
            digits.and_then(|digits| digits.parse().ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::{
            apps::v1::{DeploymentStrategy, RollingUpdateDeployment},
            core::v1::PodSpec,
        },
        apimachinery::pkg::apis::meta::v1::ObjectMeta,
    };

    use super::*;

    fn labels() -> std::collections::BTreeMap<String, String> {
        [("app".to_owned(), "web".to_owned())].into()
    }

    fn good() -> DeploymentSpec {
        let metadata = ObjectMeta { labels: Some(labels()), ..ObjectMeta::default() };
        DeploymentSpec {
            selector: LabelSelector { match_labels: Some(labels()), ..LabelSelector::default() },
            template: PodTemplateSpec { metadata: Some(metadata), spec: Some(PodSpec::default()) },
            progress_deadline_seconds: Some(600),
            ..DeploymentSpec::default()
        }
    }

    /// What is wrong with a good spec after this change.
    fn told(change: impl FnOnce(&mut DeploymentSpec)) -> String {
        let mut spec = good();
        change(&mut spec);
        of_deployment(&spec).map_or_else(String::new, |problem| format!("{}/{}", problem.reason, problem.message))
    }

    fn with_limits(surge: IntOrString, unavailable: IntOrString) -> String {
        told(|spec| spec.strategy = Some(strategy(None, Some((surge, unavailable)))))
    }

    fn strategy(r#type: Option<&str>, limits: Option<(IntOrString, IntOrString)>) -> DeploymentStrategy {
        DeploymentStrategy {
            type_: r#type.map(str::to_owned),
            rolling_update: limits.map(|(surge, unavailable)| RollingUpdateDeployment {
                max_surge: Some(surge),
                max_unavailable: Some(unavailable),
            }),
        }
    }

    fn percent(text: &str) -> IntOrString {
        IntOrString::String(text.to_owned())
    }

    #[test]
    fn what_the_api_server_accepts_is_no_problem() {
        assert_eq!(told(|_| {}), "");
        assert_eq!(with_limits(percent("25%"), percent("100%")), "");
        assert_eq!(with_limits(percent("300%"), IntOrString::Int(0)), "");
        assert_eq!(told(|spec| spec.strategy = Some(strategy(Some("Recreate"), None))), "");
    }

    #[test]
    fn every_rule_names_its_field() {
        assert!(told(|spec| spec.selector = LabelSelector::default()).starts_with("SelectingAll/"));
        let nothing = LabelSelector { match_labels: Some([].into()), match_expressions: Some(vec![]) };
        assert!(told(|spec| spec.selector = nothing).starts_with("SelectingAll/"));
        for (change, field) in [
            (Box::new(|spec: &mut DeploymentSpec| spec.replicas = Some(-1)) as Box<dyn FnOnce(&mut _)>, "replicas"),
            (Box::new(|spec: &mut DeploymentSpec| spec.min_ready_seconds = Some(-1)), "minReadySeconds"),
            (Box::new(|spec: &mut DeploymentSpec| spec.revision_history_limit = Some(-1)), "revisionHistoryLimit"),
            (Box::new(|spec: &mut DeploymentSpec| spec.min_ready_seconds = Some(600)), "progressDeadlineSeconds"),
            (Box::new(|spec: &mut DeploymentSpec| spec.template.metadata = None), "selector"),
            (
                Box::new(|spec: &mut DeploymentSpec| {
                    spec.template.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
                }),
                "template.spec.restartPolicy",
            ),
            (
                Box::new(|spec: &mut DeploymentSpec| {
                    spec.template.spec.as_mut().unwrap().active_deadline_seconds = Some(5);
                }),
                "template.spec.activeDeadlineSeconds",
            ),
            (
                Box::new(|spec: &mut DeploymentSpec| spec.strategy = Some(strategy(Some("Ramped"), None))),
                "strategy.type",
            ),
            (
                Box::new(|spec: &mut DeploymentSpec| {
                    spec.strategy = Some(strategy(Some("Recreate"), Some((IntOrString::Int(1), IntOrString::Int(1)))));
                }),
                "strategy.rollingUpdate",
            ),
        ] {
            let told = told(change);
            assert!(told.starts_with(&format!("InvalidSpec/spec.{field}: ")), "{field}: {told}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_a_percentage_and_not_both_are_0() {
        let field = |name: &str| format!("InvalidSpec/spec.strategy.rollingUpdate.{name}: ");
        for wrong in [percent("25"), percent("%"), percent("+5%"), percent("-5%"), IntOrString::Int(-1)] {
            assert!(with_limits(wrong.clone(), IntOrString::Int(1)).starts_with(&field("maxSurge")), "{wrong:?}");
        }
        assert!(with_limits(IntOrString::Int(1), percent("101%")).starts_with(&field("maxUnavailable")));
        assert!(with_limits(IntOrString::Int(0), percent("0%")).starts_with(&field("maxUnavailable")));
    }

    #[test]
    fn a_replica_set_has_the_rules_of_its_own() {
        let spec = good();
        let mut set = ReplicaSetSpec {
            selector: spec.selector.clone(),
            template: Some(spec.template.clone()),
            ..ReplicaSetSpec::default()
        };
        assert_eq!(of_replica_set(&set), None);
        let field = |set: &ReplicaSetSpec| of_replica_set(set).unwrap().message.split(':').next().unwrap().to_owned();
        set.replicas = Some(-1);
        assert_eq!(field(&set), "spec.replicas");
        set.template = None;
        assert_eq!(field(&set), "spec.template");
        set.selector = LabelSelector::default();
        assert_eq!(field(&set), "spec.selector");
    }
}
