//! Label selectors as text, the form that list requests and `/scale` use.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// The selector as `kubectl get --selector` takes it; empty for a selector of everything.
pub fn to_text(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten().map(|(label, value)| format!("{label}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(requirement);
    labels.chain(expressions).collect::<Vec<_>>().join(",")
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

    #[test]
    fn every_operator_has_its_form() {
        let requirement = |key: &str, operator: &str, values: &[&str]| LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        };
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
