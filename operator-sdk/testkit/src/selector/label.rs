//! The grammar of label selectors: `a=b, c!=d, e in (f,g), !h, i>1`.

use std::{iter::Peekable, vec::IntoIter};

use super::{Operator, Requirement};
use crate::{failure::Failure, names};

/// A word, a sign, or nothing at the end.
type Tokens = Peekable<IntoIter<String>>;

/// Reads a selector; what is wrong is told in the words of the real server.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, Failure> {
    parse_all(&mut split(text).into_iter().peekable()).map_err(Failure::bad_request)
}

fn parse_all(tokens: &mut Tokens) -> Result<Vec<Requirement>, String> {
    let mut requirements = Vec::new();
    loop {
        match peek(tokens) {
            "" => return Ok(requirements),
            token if token == "!" || is_word(token) => {}
            token => return Err(format!("found '{token}', expected: !, identifier, or 'end of string'")),
        }
        requirements.push(parse_one(tokens).map_err(|error| format!("unable to parse requirement: {error}"))?);
        match tokens.next().unwrap_or_default().as_str() {
            "" => return Ok(requirements),
            "," => match peek(tokens) {
                token if token == "!" || is_word(token) => {}
                token => return Err(format!("found '{token}', expected: identifier after ','")),
            },
            token => return Err(format!("found '{token}', expected: ',' or 'end of string'")),
        }
    }
}

fn parse_one(tokens: &mut Tokens) -> Result<Requirement, String> {
    let is_absent = tokens.next_if(|token| token == "!").is_some();
    let key = tokens.next().unwrap_or_default();
    if !is_word(&key) {
        return Err(format!("found '{key}', expected: identifier"));
    }
    if let Some(problem) = names::qualified_name_problems(&key).into_iter().next() {
        return Err(format!("<nil>: Invalid value: {key:?}: {problem}"));
    }
    let is_alone = matches!(peek(tokens), "" | ",");
    let operator = match (is_absent, is_alone) {
        (true, _) => Operator::Absent,
        (false, true) => Operator::Exists,
        (false, false) => parse_operator(tokens, &key)?,
    };
    Ok(Requirement { key, operator })
}

fn parse_operator(tokens: &mut Tokens, key: &str) -> Result<Operator, String> {
    let sign = tokens.next().unwrap_or_default();
    let is_known = matches!(sign.as_str(), "in" | "notin" | "=" | "==" | "!=" | ">" | "<");
    if !is_known {
        return Err(format!("found '{sign}', expected: in, notin, =, ==, !=, gt, lt"));
    }
    let values =
        if matches!(sign.as_str(), "in" | "notin") { parse_values(tokens)? } else { vec![parse_value(tokens)?] };
    if matches!(sign.as_str(), ">" | "<") {
        let number = values[0].parse::<i64>().map_err(|_| {
            format!("values[0]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer", values[0])
        })?;
        return Ok(if sign == ">" { Operator::Above(number) } else { Operator::Below(number) });
    }
    for (index, value) in values.iter().enumerate() {
        if let Some(problem) = names::label_value_problems(value).into_iter().next() {
            return Err(format!("values[{index}][{key}]: Invalid value: {value:?}: {problem}"));
        }
    }
    Ok(if matches!(sign.as_str(), "notin" | "!=") { Operator::NotIn(values) } else { Operator::In(values) })
}

fn parse_value(tokens: &mut Tokens) -> Result<String, String> {
    match peek(tokens) {
        "" | "," => Ok(String::new()),
        token if is_word(token) => Ok(tokens.next().unwrap_or_default()),
        token => Err(format!("found '{token}', expected: identifier")),
    }
}

fn parse_values(tokens: &mut Tokens) -> Result<Vec<String>, String> {
    let open = tokens.next().unwrap_or_default();
    if open != "(" {
        return Err(format!("found '{open}' expected: '('"));
    }
    let mut values = Vec::new();
    loop {
        if is_word(peek(tokens)) {
            values.push(tokens.next().unwrap_or_default());
        } else if matches!(peek(tokens), "," | ")") {
            values.push(String::new());
        }
        match tokens.next().unwrap_or_default().as_str() {
            ")" => break,
            "," => {}
            token => return Err(format!("found '{token}', expected: ',' or ')'")),
        }
    }
    values.sort();
    values.dedup();
    Ok(values)
}

fn peek(tokens: &mut Tokens) -> &str {
    tokens.peek().map_or("", String::as_str)
}

fn is_word(token: &str) -> bool {
    !token.is_empty() && !token.starts_with(is_sign)
}

fn is_sign(letter: char) -> bool {
    "=!(),<>".contains(letter)
}

fn split(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut is_open = false;
    for letter in text.chars() {
        let is_second = letter == '=' && is_open && tokens.last().is_some_and(|last| last == "=" || last == "!");
        if letter.is_whitespace() {
            is_open = false;
        } else if is_second || is_open && !is_sign(letter) && tokens.last().is_some_and(|last| is_word(last)) {
            if let Some(last) = tokens.last_mut() {
                last.push(letter);
            }
        } else {
            tokens.push(letter.to_string());
            is_open = true;
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Selector;
    use super::*;

    fn selects(text: &str, labels: &serde_json::Value) -> bool {
        let selector = Selector { labels: parse(text).unwrap(), fields: Vec::new() };
        selector.matches(&json!({ "metadata": { "labels": labels } }))
    }

    #[test]
    fn each_operator_selects_as_documented() {
        let labels = json!({ "a": "b", "n": "5", "example.com/x": "" });
        for yes in
            ["", "a", "a=b", "a == b", "a!=c", "z!=c", "a in (b, c)", "a notin (c)", "!z", "n>4", "n<6", "a,!z,n=5"]
        {
            assert!(selects(yes, &labels), "{yes}");
        }
        for no in ["z", "a=c", "a!=b", "a in (c)", "a notin (b)", "!a", "n>5", "a,z", "example.com/x=y"] {
            assert!(!selects(no, &labels), "{no}");
        }
    }

    #[test]
    fn what_is_no_selector_is_told_in_the_words_of_the_real_server() {
        for (text, told) in [
            ("a,,b", "found ',', expected: identifier after ','"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in", "unable to parse requirement: found '' expected: '('"),
            (",", "found ',', expected: !, identifier, or 'end of string'"),
            ("a xx (b)", "unable to parse requirement: found 'xx', expected: in, notin, =, ==, !=, gt, lt"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            (
                "a>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().message, told, "{text}");
        }
    }
}
