//! Label selectors: whether they match, and their form as text, which list requests and `/scale` use.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// The selector as `kubectl get --selector` takes it; empty for a selector of everything.
pub fn to_text(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten().map(|(label, value)| format!("{label}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(requirement);
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// True if the selector matches these labels: one that is empty matches all, one with an unknown operator none.
pub fn matches(selector: &LabelSelector, labels: Option<&BTreeMap<String, String>>) -> bool {
    let label = |name: &str| labels.and_then(|labels| labels.get(name));
    let mut equal = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    equal.all(|(name, value)| label(name) == Some(value))
        && expressions.all(|requirement| {
            let held = label(&requirement.key);
            let is_among = held.is_some_and(|held| requirement.values.iter().flatten().any(|value| value == held));
            match requirement.operator.as_str() {
                "In" => is_among,
                "NotIn" => !is_among,
                "Exists" => held.is_some(),
                "DoesNotExist" => held.is_none(),
                _ => false,
            }
        })
}

fn requirement(requirement: &LabelSelectorRequirement) -> String {
    let label = &requirement.key;
    let values = || requirement.values.clone().unwrap_or_default().join(",");
    match requirement.operator.as_str() {
        "In" => format!("{label} in ({})", values()),
        "NotIn" => format!("{label} notin ({})", values()),
        "DoesNotExist" => format!("!{label}"),
        _ => label.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(key: &str, operator: &str, values: &[&str]) -> LabelSelectorRequirement {
        LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        }
    }

    fn is_selected(operator: &str, values: &[&str], label: Option<&str>) -> bool {
        let match_expressions = Some(vec![requirement("app", operator, values)]);
        let selector = LabelSelector { match_labels: None, match_expressions };
        matches(&selector, label.map(|value| [("app".to_owned(), value.to_owned())].into()).as_ref())
    }

    #[test]
    fn every_operator_matches_what_it_says() {
        let picked =
            |operator, values: &[&str]| [Some("a"), Some("b"), None].map(|label| is_selected(operator, values, label));
        assert_eq!(picked("In", &["a"]), [true, false, false]);
        assert_eq!(picked("NotIn", &["a"]), [false, true, true]);
        assert_eq!(picked("Exists", &[]), [true, true, false]);
        assert_eq!(picked("DoesNotExist", &[]), [false, false, true]);
        assert_eq!(picked("Like", &["a"]), [false, false, false]);
    }

    #[test]
    fn all_labels_and_all_expressions_must_match() {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let selector = LabelSelector {
            match_labels: Some([label("app", "web"), label("tier", "front")].into()),
            match_expressions: Some(vec![requirement("zone", "Exists", &[])]),
        };
        let whole = [label("app", "web"), label("tier", "front"), label("zone", "a"), label("more", "b")];
        assert!(matches(&selector, Some(&whole.clone().into())));
        for missing in 0..3 {
            let mut labels = whole.to_vec();
            labels.remove(missing);
            assert!(!matches(&selector, Some(&labels.into_iter().collect())));
        }
        assert!(matches(&LabelSelector::default(), None));
    }

    #[test]
    fn every_operator_has_its_form() {
        let selector = LabelSelector {
            match_labels: Some([("app".to_owned(), "web".to_owned())].into()),
            match_expressions: Some(vec![
                requirement("a", "In", &["x", "y"]),
                requirement("b", "NotIn", &["z"]),
                requirement("c", "Exists", &[]),
                requirement("d", "DoesNotExist", &[]),
            ]),
        };
        assert_eq!(to_text(&selector), "app=web,a in (x,y),b notin (z),c,!d");
    }
}
