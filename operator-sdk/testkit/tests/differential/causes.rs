//! One order for the causes of a refusal: the real server finds them in the order of a Go map, another one each time.

use serde_json::Value;

/// Sorts the causes of an answer, and the same causes in its message.
pub fn sort(body: &mut Value) {
    sort_lines(body);
    let Some(causes) = body.pointer_mut("/details/causes").and_then(Value::as_array_mut) else { return };
    let before: Vec<String> = causes.iter().map(text).collect();
    causes.sort_by_key(text);
    let after: Vec<String> = causes.iter().map(text).collect();
    let list = |texts: &[String]| format!("[{}]", texts.join(", "));
    if let Some(Value::String(message)) = body.get_mut("message") {
        *message = message.replace(&list(&before), &list(&after));
    }
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
