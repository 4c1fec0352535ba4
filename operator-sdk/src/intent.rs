//! Server-side apply of an object that is wholly ours, and no request if it is so already.
//!
//! What is applied carries a digest of itself as an annotation. It is applied again only if the digest is another one, as
//! the intent has changed, or if a field of it is no longer as it was set, as somebody has changed that. What the API
//! server or others add is left alone.
//!
//! Not for pods: a name that the server makes up cannot be applied. What the server writes in another form than it was
//! given (`1000m` of memory, say) is applied in each pass, which changes nothing and costs a request: give it in the
//! server's form.

use k8s_openapi::NamespaceResourceScope;
use serde_json::{Value, json};

use crate::{
    client::Client,
    error::{Class, Error, Result},
    object::{Key, Object, Uid},
};

/// Holds the digest of what was applied last.
pub const DIGEST_ANNOTATION: &str = "operator-lite.dev/intent";

/// What became of an intent.
#[derive(Clone, Debug)]
pub enum Applied<K> {
    /// It was so already; nothing was sent.
    Already,
    /// It is so now.
    Now(K),
}

/// The name is that of an object which is not ours.
#[derive(Debug, thiserror::Error)]
#[error(
    "{kind} {key} is there already and is not controlled by the object that wants it; rename or delete one of the two"
)]
pub struct Taken {
    kind: String,
    key: Key,
}

/// Makes an object as `intent` has it, whose metadata says namespace, name and owner. `held` is the object as the cache
/// has it: if it is there, only that incarnation is touched.
///
/// Needs the permissions to create and to patch objects of the kind. Fields that others have set differently are taken over.
///
/// # Errors
/// [`Taken`] if what is held has not the controller that the intent names: it is not ours to change. A conflict if the name
/// belongs to another incarnation by now; [`Class::Invalid`] if the server refuses the content.
pub async fn apply<K>(client: &Client, intent: &K, held: Option<&K>) -> Result<Applied<K>>
where
    K: Object<Scope = NamespaceResourceScope>,
{
    let encode = |object: &K| serde_json::to_value(object).map_err(|source| Error::other(Class::Terminal, source));
    let mut wanted = encode(intent)?;
    let digest = digest(&wanted);
    wanted["metadata"]["annotations"][DIGEST_ANNOTATION] = json!(digest);
    if let Some(held) = held.filter(|held| !is_ours(intent, *held)) {
        let taken = Taken { kind: K::kind(&()).into_owned(), key: held.key() };
        return Err(Error::other(Class::Invalid, taken));
    }
    let held = held.map(|held| Ok::<_, Error>((encode(held)?, held.uid_of()))).transpose()?;
    if let Some((held, uid)) = &held {
        if is_within(&wanted, held) {
            return Ok(Applied::Already);
        }
        wanted["metadata"]["uid"] = json!(uid.as_ref().map(Uid::as_str));
    }
    Ok(Applied::Now(client.apply(&intent.key(), wanted).await?))
}

/// True unless the intent names a controller and the object has another one, or none.
fn is_ours<K: Object>(intent: &K, held: &K) -> bool {
    intent.controller().is_none_or(|owner| held.is_controlled_by(&owner.uid.as_str().into()))
}

/// True if all that `part` says is so in `whole`, which may say more. What is empty may be missing.
fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), whole) => part.iter().all(|(name, value)| match whole.get(name) {
            Some(held) => is_within(value, held),
            None => is_empty(value),
        }),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_within(part, whole))
        }
        (part, whole) => part == whole,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        _ => false,
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo), of the JSON with sorted keys.
fn digest(value: &Value) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", value.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_is_wanted_is_as_wanted_and_less_or_other_is_not() {
        let wanted = json!({"a": 1, "b": {"c": [{"d": "e"}], "f": {}, "g": []}});
        let defaulted = json!({"a": 1, "b": {"c": [{"d": "e", "more": true}]}, "status": {}});
        assert!(is_within(&wanted, &wanted) && is_within(&wanted, &defaulted));
        for other in [
            json!({"a": 2, "b": {"c": [{"d": "e"}]}}),
            json!({"a": 1, "b": {"c": [{"d": "x"}]}}),
            json!({"a": 1, "b": {"c": []}}),
            json!({"a": 1, "b": {"c": [{"d": "e"}, {"d": "e"}]}}),
            json!({"b": {"c": [{"d": "e"}]}}),
            json!({"a": 1}),
        ] {
            assert!(!is_within(&wanted, &other), "{other}");
        }
    }

    #[test]
    fn a_digest_is_of_the_content_and_not_of_its_order() {
        let other_order: Value = serde_json::from_str(r#"{"b": 2, "a": 1}"#).unwrap();
        assert_eq!(digest(&json!({"a": 1, "b": 2})), digest(&other_order));
        assert_ne!(digest(&json!({"a": 1})), digest(&json!({"a": 2})));
    }
}
