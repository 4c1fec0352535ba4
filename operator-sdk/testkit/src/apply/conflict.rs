//! An intent that wants another value for what others own.

use serde_json::{Value, json};

use super::{
    manager::{ManagerKey, Operation},
    path::{Path, display},
};

/// Fields that others own and the intent would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflicts(pub(super) Vec<(ManagerKey, Path)>);

impl Conflicts {
    /// The message of the Status.
    pub fn message(&self) -> String {
        if let [(manager, path)] = &self.0[..] {
            return format!("Apply failed with 1 conflict: conflict with {}: {}", manager.display(), display(path));
        }
        let mut lines = Vec::new();
        let mut last = None;
        for (manager, path) in &self.0 {
            if last != Some(manager) {
                lines.push(format!("conflicts with {}:", manager.display()));
            }
            lines.push(format!("- {}", display(path)));
            last = Some(manager);
        }
        format!("Apply failed with {} conflicts: {}", self.0.len(), lines.join("\n"))
    }

    /// `details.causes` of the Status.
    pub fn causes(&self) -> Value {
        let cause = |(manager, path): &(ManagerKey, Path)| {
            let message = format!("conflict with {}", manager.display());
            json!({"reason": "FieldManagerConflict", "message": message, "field": display(path)})
        };
        self.0.iter().map(cause).collect()
    }
}

impl ManagerKey {
    fn display(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        if self.operation == Operation::Update {
            text += &format!(" using {}", self.version);
        }
        text
    }
}
