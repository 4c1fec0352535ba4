//! One order for the causes of a refusal: the real server finds them in the order of a Go map, another one each time.

use std::collections::BTreeSet;

use serde_json::Value;

/// Sorts the causes of an answer, and the same causes in its message.
pub fn sort(body: &mut Value) {
    sort_lines(body);
    let Some(causes) = body.pointer_mut("/details/causes").and_then(Value::as_array_mut) else { return };
    let before: Vec<String> = causes.iter().map(text).collect();
    causes.sort_by_key(text);
    let after: Vec<String> = causes.iter().map(text).collect();
    let list = |texts: &[String]| format!("[{}]", once_each(texts).join(", "));
    if let Some(Value::String(message)) = body.get_mut("message") {
        *message = message.replace(&list(&before), &list(&after));
    }
}

/// The message says once what stands among the causes twice.
fn once_each(texts: &[String]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    texts.iter().map(String::as_str).filter(|text| seen.insert(*text)).collect()
}

/// The errors of an apply stand in the message alone, one a line.
fn sort_lines(body: &mut Value) {
    let Some(Value::String(message)) = body.get_mut("message") else { return };
    let Some((head, errors)) = message.split_once("errors:\n") else { return };
    let mut errors: Vec<&str> = errors.split('\n').collect();
    errors.sort_unstable();
    *message = format!("{head}errors:\n{}", errors.join("\n"));
}

fn text(cause: &Value) -> String {
    let part = |name: &str| cause[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {}", part("field"), part("message"))
}

#[test]
fn causes_have_one_order_though_one_stands_there_twice() {
    let refusal = |first: &str, second: &str| {
        let cause = |field: &str| serde_json::json!({"field": field, "message": "Required value"});
        serde_json::json!({
            "message": format!("x is invalid: [spec.z: Required value, {first}: Required value, {second}: Required value]"),
            "details": {"causes": [cause("spec.z"), cause("spec.z"), cause(first), cause(second)]},
        })
    };
    let mut answers = [refusal("spec.a", "spec.b"), refusal("spec.b", "spec.a")];
    answers.iter_mut().for_each(sort);
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0]["message"].as_str().is_some_and(|message| message.contains("[spec.a: Required value, spec.b")));
}
