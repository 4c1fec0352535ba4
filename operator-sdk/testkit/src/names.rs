//! What a name, a label or a finalizer may be, in the words of the real server. Each answers with what is wrong.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// How many characters of `generateName` a name that is made of it has.
const GENERATED_BASE: usize = 58;

/// What a generated name begins with.
pub fn generated_base(generate_name: &str) -> &str {
    let end = generate_name.char_indices().nth(GENERATED_BASE).map_or(generate_name.len(), |(end, _)| end);
    &generate_name[..end]
}

/// What is wrong with a DNS subdomain.
pub fn subdomain_problems(name: &str) -> Vec<String> {
    subdomain_problems_in(name, "characters")
}

fn subdomain_problems_in(name: &str, unit: &str) -> Vec<String> {
    let mut problems = too_long(name, 253, unit);
    if !is_subdomain(name) {
        problems.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
             and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{LABEL}(\\.{LABEL})*')"
        ));
    }
    problems
}

/// What is wrong with a DNS label.
pub fn label_problems(name: &str) -> Vec<String> {
    let mut problems = too_long(name, 63, "characters");
    if is_label(name) {
        return problems;
    }
    problems.push(if is_subdomain(name) {
        "must not contain dots".to_owned()
    } else {
        format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
             with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
        )
    });
    problems
}

/// What is wrong with a name that only has to fit into a path.
pub fn path_problems(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"].iter().filter(|part| name.contains(**part)).map(|part| format!("may not contain '{part}'")).collect()
}

/// What is wrong with the key of a label or annotation, or with a finalizer.
pub fn qualified_name_problems(name: &str) -> Vec<String> {
    let shape = format!(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
         (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{KEY}')"
    );
    let mut problems = Vec::new();
    let parts: Vec<&str> = name.split('/').collect();
    let last = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            match *prefix {
                "" => problems.push("prefix part must be non-empty".to_owned()),
                prefix => {
                    problems.extend(
                        subdomain_problems_in(prefix, "bytes")
                            .into_iter()
                            .map(|problem| format!("prefix part {problem}")),
                    );
                }
            }
            *name
        }
        _ => {
            let tail = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {shape} {tail}")];
        }
    };
    if last.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if last.len() > 63 {
        problems.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_key(last) {
        problems.push(format!("name part {shape}"));
    }
    problems
}

/// What is wrong with the value of a label.
pub fn label_value_problems(value: &str) -> Vec<String> {
    let mut problems = too_long(value, 63, "bytes");
    if !(value.is_empty() || is_key(value)) {
        problems.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
             and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '({KEY})?')"
        ));
    }
    problems
}

fn too_long(text: &str, limit: usize, unit: &str) -> Vec<String> {
    let is_too_long = text.len() > limit;
    is_too_long.then(|| format!("must be no more than {limit} {unit}")).into_iter().collect()
}

fn is_label(name: &str) -> bool {
    let is_inner = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let ends = name.as_bytes().first().zip(name.as_bytes().last());
    ends.is_some_and(|(first, last)| is_inner(*first) && is_inner(*last))
        && name.bytes().all(|letter| is_inner(letter) || letter == b'-')
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_key(name: &str) -> bool {
    let ends = name.as_bytes().first().zip(name.as_bytes().last());
    ends.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_dns_and_labels_do() {
        for good in ["a", "a-b", "a.b", "0.x-1"] {
            assert_eq!(subdomain_problems(good), Vec::<String>::new(), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", "a_b", &"a".repeat(254)] {
            assert!(!subdomain_problems(bad).is_empty(), "{bad}");
        }
        assert_eq!(label_problems("a.b"), ["must not contain dots"]);
        assert!(qualified_name_problems("example.com/My_name.1").is_empty());
        for bad in ["", "a/b/c", "/a", "a/", "Bad Host/a", "-a", &"a".repeat(64)] {
            assert!(!qualified_name_problems(bad).is_empty(), "{bad}");
        }
        assert!(label_value_problems("").is_empty() && !label_value_problems("a b").is_empty());
    }
}
