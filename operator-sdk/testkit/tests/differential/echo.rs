//! What a refusal shows of Go: a value that is wrong is repeated as the server's own structures are, not as it was sent,
//! and the forbidden part of an update as a comparison of such structures. No client can use either.

const MASKED: &str = "value: {…}";

/// A message without what only Go could print.
pub fn mask(text: &str) -> String {
    let text = text.split_once("\n@@ ").map_or(text, |(head, _)| head);
    mask_objects(text, is_of_go)
}

/// Whether two messages are the same but for the objects that they repeat, one of which was masked.
pub fn are_alike(real: &str, simulated: &str) -> bool {
    real.contains(MASKED) && mask_objects(real, |_| true) == mask_objects(simulated, |_| true)
}

fn mask_objects(text: &str, is_masked: impl Fn(&str) -> bool) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("value: {") {
        let (value, after) = after.split_at(length(after));
        masked.push_str(before);
        masked.push_str(&if is_masked(value) { MASKED.to_owned() } else { format!("value: {{{value}") });
        rest = after;
    }
    masked + rest
}

/// Up to the brace that closes the one before the text.
fn length(text: &str) -> usize {
    let mut depth = 1;
    let mut in_text = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => depth += 1,
            b'}' if !in_text => depth -= 1,
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
    let bytes = value.as_bytes();
    let is_go_name = |part: &str| part.starts_with(|letter: char| letter.is_ascii_uppercase());
    bytes.contains(&b'"') && value.split(['{', ',']).filter_map(|part| part.strip_prefix('"')).any(is_go_name)
}
