//! What a refusal shows of Go: a value that is wrong is repeated as the server's own structures are, not as it was sent,
//! and the forbidden part of an update as a comparison of such structures. No client can use either.

const MASKED: &str = "value: {…}";
const START: usize = "value: ".len();
/// After these words follow what Go's own libraries say, and how an update differs.
const ENDS: [&str; 3] = ["\n@@ ", " ERROR: <input>", " error parsing regexp:"];

/// A message without what only Go could print.
pub fn mask(text: &str) -> String {
    let text = ENDS.iter().fold(text, |text, end| text.split_once(end).map_or(text, |(head, _)| head));
    mask_objects(text, is_of_go)
}

/// Whether two messages are the same but for what they repeat: an object that was masked, or its fields in the order of
/// a Go structure.
pub fn are_alike(real: &str, simulated: &str) -> bool {
    let is_masked = real.contains(MASKED) && mask_objects(real, |_| true) == mask_objects(simulated, |_| true);
    let has_fields = ["value: [{", "value: \"{"].iter().any(|start| real.contains(start));
    is_masked || has_fields && fields(real) == fields(simulated)
}

fn fields(text: &str) -> Vec<&str> {
    let mut fields: Vec<&str> = text.split(['{', '}', ',']).collect();
    fields.sort_unstable();
    fields
}

fn mask_objects(text: &str, is_masked: impl Fn(&str) -> bool) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = ["value: {", "value: [{"].iter().filter_map(|start| rest.find(start)).min() {
        let (before, after) = rest.split_at(start);
        let (value, after) = after.split_at(START + length(&after[START..]));
        masked.push_str(before);
        masked.push_str(if is_masked(&value[START..]) { MASKED } else { value });
        rest = after;
    }
    masked + rest
}

/// Up to the brace or bracket that closes the one at the text's beginning.
fn length(text: &str) -> usize {
    let mut depth = 0;
    let mut in_text = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Fields of Go begin with a capital.
fn is_of_go(value: &str) -> bool {
    let is_go_name = |part: &str| part.starts_with(|letter: char| letter.is_ascii_uppercase());
    value.split(['{', '[', ',']).filter_map(|part| part.strip_prefix('"')).any(is_go_name)
}

#[test]
fn what_only_go_prints_is_masked() {
    let real = "spec: Invalid value: {\"MinAvailable\":1,\"Selector\":{\"matchLabels\":{}}}: both";
    assert_eq!(mask(real), "spec: Invalid value: {…}: both");
    assert!(are_alike(&mask(real), "spec: Invalid value: {\"minAvailable\":1}: both"));
    assert!(!are_alike(&mask(real), "spec: Invalid value: {\"minAvailable\":1}: neither"));
}

#[test]
fn fields_may_stand_in_any_order_but_have_to_be_the_same() {
    let real = "x: Invalid value: [{\"b\":1,\"a\":2}]: bad";
    assert!(are_alike(real, "x: Invalid value: [{\"a\":2,\"b\":1}]: bad"));
    assert!(!are_alike(real, "x: Invalid value: [{\"a\":2,\"b\":2}]: bad"));
}

#[test]
fn labels_are_not_masked() {
    let text = "Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`";
    assert_eq!(mask(text), text);
}
