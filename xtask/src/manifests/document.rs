//! A stream of YAML taken apart into its documents, as far as file names need it: what operators print is generated,
//! so its kind stands at the start of a line and its name is the first one inside `metadata`.

/// One YAML document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(String);

/// The documents of a stream, without empty ones.
#[must_use]
pub fn split(stream: &str) -> Vec<Document> {
    let mut documents = vec![String::new()];
    for line in stream.lines() {
        match (line.trim_end() == "---", documents.last_mut()) {
            (false, Some(document)) => {
                document.push_str(line);
                document.push('\n');
            }
            _ => documents.push(String::new()),
        }
    }
    documents
        .iter()
        .map(|text| text.trim_end())
        .filter(|text| !text.trim().is_empty())
        .map(|text| Document(text.to_owned()))
        .collect()
}

/// The name of a file for objects of a kind: `ServiceAccount` → `service_account`.
#[must_use]
pub fn file_stem(kind: &str) -> String {
    let mut stem = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !stem.is_empty() {
            stem.push('_');
        }
        stem.push(letter.to_ascii_lowercase());
    }
    stem
}

impl Document {
    /// The document itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The object's kind.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix("kind:")).map(unquoted)
    }

    /// The object's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let metadata = self.0.lines().skip_while(|line| line.trim_end() != "metadata:").skip(1);
        let mut inside = metadata.take_while(|line| line.starts_with(' '));
        inside.find_map(|line| line.strip_prefix("  name:")).map(unquoted)
    }
}

fn unquoted(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  labels:\n    name: no\n  name: \"system\"\n---\n\
                          kind: ServiceAccount\nmetadata:\n  name: 'runner'\nspec:\n  name: no\n";

    #[test]
    fn documents_know_their_kind_and_name() {
        let documents = split(STREAM);
        let told: Vec<_> = documents.iter().map(|document| (document.kind(), document.name())).collect();
        assert_eq!(told, [(Some("Namespace"), Some("system")), (Some("ServiceAccount"), Some("runner"))]);
    }

    #[test]
    fn a_kind_becomes_a_file_name() {
        assert_eq!(file_stem("PodDisruptionBudget"), "pod_disruption_budget");
    }
}
