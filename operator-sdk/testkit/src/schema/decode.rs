//! What the server makes of an object that is sent to it, before it looks at what the object asks for: of built-in kinds
//! the one form that it stores, of custom kinds the same without the fields that it does not know.

use serde_json::{Map as JsonMap, Value};

use super::{List, Map, Scalar, Schema, Shape, Zero, quantity::Quantity};

/// Where a value lies: written out only where something is wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Place<'a> {
    outer: Option<&'a Place<'a>>,
    step: Step<'a>,
    /// The Go type that has the innermost field, as in `Container`.
    owner: &'a str,
}

/// From a value to one within it.
#[derive(Clone, Copy, Debug, Default)]
enum Step<'a> {
    /// The object itself.
    #[default]
    None,
    Field(&'a str),
    /// A key of a map, which Go does not name.
    Key(&'a str),
    Item(usize),
}

impl Place<'_> {
    /// As in `spec.containers[0].name`.
    fn path(&self) -> String {
        let outer = self.outer.map(Place::path).unwrap_or_default();
        match self.step {
            Step::None => outer,
            Step::Field(key) | Step::Key(key) => join(&outer, key),
            Step::Item(index) => format!("{outer}[{index}]"),
        }
    }

    /// As in `spec.containers.name`.
    fn fields(&self) -> String {
        let outer = self.outer.map(Place::fields).unwrap_or_default();
        match self.step {
            Step::Field(key) => join(&outer, key),
            Step::None | Step::Key(_) | Step::Item(_) => outer,
        }
    }

    fn within<'a>(&'a self, step: Step<'a>) -> Place<'a> {
        Place { outer: Some(self), step, owner: self.owner }
    }
}

/// Brings an object of a built-in kind into the form that the server stores: unknown fields go, zero values go or come,
/// quantities and times are rewritten. Gives the paths of the unknown fields; or why it is not an object of that kind, in
/// the words of the server.
pub fn normalise(schema: &Schema, object: &mut Value) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    normalise_value(schema, object, &Place::default(), &mut unknown)?;
    Ok(unknown)
}

fn normalise_value(
    schema: &Schema,
    value: &mut Value,
    at: &Place<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    match &schema.shape {
        Shape::Any => Ok(()),
        Shape::Scalar(scalar) => normalise_scalar(*scalar, schema, value, at),
        Shape::List(list) => normalise_list(list, value, at, unknown),
        Shape::Map(map) => normalise_map(schema, map, value, at, unknown),
    }
}

fn normalise_map(
    schema: &Schema,
    map: &Map,
    value: &mut Value,
    at: &Place<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let Value::Object(object) = value else { return Err(mismatch(value, &go_type(schema), at)) };
    if let Some(others) = &map.others {
        for (key, value) in object.iter_mut() {
            if value.is_null() {
                *value = zero(others);
            }
            normalise_value(others, value, &at.within(Step::Key(key)), unknown)?;
        }
        return Ok(());
    }
    let owner = schema.name.as_deref().map_or(at.owner, short_name);
    for (key, field) in map.implied() {
        if let Zero::Written(zero) = &field.zero
            && object.get(key).is_none_or(Value::is_null)
        {
            object.insert(key.clone(), zero.clone());
        }
    }
    let (mut problem, mut further) = (Ok(()), Vec::new());
    object.retain(|key, value| {
        let Some(field) = map.fields.get(key) else {
            unknown.push(join(&at.path(), key));
            return false;
        };
        if problem.is_err() {
            return true;
        }
        let place = Place { owner, ..at.within(Step::Field(key)) };
        let stays = normalise_field(field, value, &place, &mut further);
        stays.unwrap_or_else(|error| {
            problem = Err(error);
            true
        })
    });
    // First what is unknown here, then what is unknown within.
    unknown.append(&mut further);
    problem
}

/// Gives whether the field stays.
fn normalise_field(
    field: &Schema,
    value: &mut Value,
    at: &Place<'_>,
    unknown: &mut Vec<String>,
) -> Result<bool, String> {
    if value.is_null() {
        return Ok(matches!(field.zero, Zero::Written(_)));
    }
    normalise_value(field, value, at, unknown)?;
    match &field.zero {
        Zero::Dropped if is_zero(value) => return Ok(false),
        // A list that is empty is stored as none.
        Zero::Written(Value::Null) if value.as_array().is_some_and(Vec::is_empty) => *value = Value::Null,
        Zero::Kept | Zero::Dropped | Zero::Written(_) => {}
    }
    Ok(true)
}

fn normalise_list(list: &List, value: &mut Value, at: &Place<'_>, unknown: &mut Vec<String>) -> Result<(), String> {
    let Value::Array(items) = value else {
        return Err(mismatch(value, &format!("[]{}", go_type(&list.items)), at));
    };
    for (index, item) in items.iter_mut().enumerate() {
        if item.is_null() {
            *item = zero(&list.items);
        }
        normalise_value(&list.items, item, &at.within(Step::Item(index)), unknown)?;
    }
    Ok(())
}

fn normalise_scalar(scalar: Scalar, schema: &Schema, value: &mut Value, at: &Place<'_>) -> Result<(), String> {
    let is_right = match scalar {
        Scalar::String => value.is_string(),
        Scalar::Boolean => value.is_boolean(),
        Scalar::Number => value.is_number(),
        Scalar::Integer => is_integer(value, schema.format.as_deref() == Some("int64")),
        Scalar::IntOrString => value.is_string() || is_integer(value, false),
        Scalar::Quantity => return normalise_quantity(value),
    };
    match (is_right, value, schema.format.as_deref()) {
        (false, value, _) => Err(mismatch(value, &go_type(schema), at)),
        (true, Value::String(text), Some("date-time")) => normalise_time(text),
        (true, Value::String(text), Some("micro-time")) => normalise_micro_time(text),
        (true, Value::String(text), Some("byte")) => check_base64(text),
        (true, ..) => Ok(()),
    }
}

fn normalise_quantity(value: &mut Value) -> Result<(), String> {
    let text = match &*value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let wrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    let quantity = Quantity::parse(&text).ok_or(wrong)?;
    *value = Value::String(quantity.to_string());
    Ok(())
}

/// Rewrites a time in whole seconds of UTC.
fn normalise_time(text: &mut String) -> Result<(), String> {
    let time = parse_time(text, "2006-01-02T15:04:05Z07:00")?;
    *text = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Ok(())
}

/// Rewrites a time in UTC that has to be given to the millionth of a second.
fn normalise_micro_time(text: &mut String) -> Result<(), String> {
    const LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";
    let time = parse_time(text, LAYOUT)?;
    let rest = text.get(19..).unwrap_or_default();
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let digits = rest.bytes().skip(1).take_while(is_digit).count();
    let (part, layout) = match digits {
        6 if rest.starts_with('.') => ("", ""),
        7.. if rest.starts_with('.') => (&rest[7..], "Z07:00"),
        _ => (rest, ".000000"),
    };
    if !layout.is_empty() {
        return Err(format!("parsing time \"{text}\" as \"{LAYOUT}\": cannot parse \"{part}\" as \"{layout}\""));
    }
    *text = time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    Ok(())
}

fn parse_time(text: &str, layout: &str) -> Result<jiff::Timestamp, String> {
    text.parse().map_err(|_| format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""))
}

fn check_base64(text: &str) -> Result<(), String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let letters = text.trim_end_matches('=');
    let place = letters.bytes().position(|byte| !is_letter(byte));
    match place {
        None if text.len().is_multiple_of(4) && text.len() - letters.len() < 3 => Ok(()),
        place => Err(format!("illegal base64 data at input byte {}", place.unwrap_or(text.len()))),
    }
}

fn is_integer(value: &Value, is_wide: bool) -> bool {
    value.as_i64().is_some_and(|number| is_wide || i32::try_from(number).is_ok())
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// What Go makes of a `null` among the items of a list or the values of a map.
fn zero(schema: &Schema) -> Value {
    match schema.shape {
        Shape::Scalar(Scalar::String) => Value::from(""),
        Shape::Scalar(Scalar::Boolean) => Value::from(false),
        Shape::Scalar(Scalar::Integer | Scalar::Number | Scalar::IntOrString) => Value::from(0),
        Shape::Scalar(Scalar::Quantity) => Value::from("0"),
        Shape::Map(_) => Value::Object(JsonMap::new()),
        Shape::List(_) => Value::Array(Vec::new()),
        Shape::Any => Value::Null,
    }
}

/// The complaint of Go's decoder.
fn mismatch(value: &Value, go_type: &str, at: &Place<'_>) -> String {
    let given = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if go_type.starts_with("int") => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    let field = match at.fields().as_str() {
        "" => "Go value".to_owned(),
        fields => format!("Go struct field {}.{fields}", at.owner),
    };
    format!("json: cannot unmarshal {given} into {field} of type {go_type}")
}

fn go_type(schema: &Schema) -> String {
    match (&schema.shape, schema.name.as_deref()) {
        (Shape::Scalar(Scalar::IntOrString), _) => "int32".to_owned(),
        (_, Some(name)) => name.rsplit_once('.').map_or(name.to_owned(), |(rest, short)| {
            format!("{}.{short}", rest.rsplit('.').next().unwrap_or_default())
        }),
        (Shape::Scalar(Scalar::String), _) => "string".to_owned(),
        (Shape::Scalar(Scalar::Boolean), _) => "bool".to_owned(),
        (Shape::Scalar(Scalar::Number), _) => "float64".to_owned(),
        (Shape::Scalar(_), _) => schema.format.clone().unwrap_or_else(|| "int64".to_owned()),
        (Shape::List(list), _) => format!("[]{}", go_type(&list.items)),
        (Shape::Map(map), _) => {
            let others = map.others.as_deref().map(go_type);
            format!("map[string]{}", others.unwrap_or_else(|| "interface {}".to_owned()))
        }
        (Shape::Any, _) => "interface {}".to_owned(),
    }
}

fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::openapi;

    fn normalised(kind: &str, mut object: Value) -> Result<(Value, Vec<String>), String> {
        let unknown = normalise(&openapi::schema(&format!("io.k8s.api.{kind}")), &mut object)?;
        Ok((object, unknown))
    }

    #[test]
    fn zero_values_are_written_as_go_writes_them() {
        let status = json!({"replicas": 0, "readyReplicas": 0, "conditions": [], "collisionCount": 0});
        assert_eq!(normalised("apps.v1.DeploymentStatus", status).unwrap().0, json!({"collisionCount": 0}));
        let status = json!({"readyReplicas": 0});
        assert_eq!(normalised("apps.v1.ReplicaSetStatus", status).unwrap().0, json!({"replicas": 0}));
    }

    #[test]
    fn unknown_fields_go_and_are_told_by_their_paths() {
        let pod = json!({"spec": {"containers": [{"name": "c", "extra": 1}], "more": {}}});
        let (pod, mut unknown) = normalised("core.v1.Pod", pod).unwrap();
        unknown.sort();
        assert_eq!(unknown, ["spec.containers[0].extra", "spec.more"]);
        assert_eq!(pod["spec"], json!({"containers": [{"name": "c", "resources": {}}]}));
    }

    #[test]
    fn quantities_and_times_are_written_in_one_way() {
        let limits = json!({"limits": {"cpu": 0.5, "memory": "1024Mi"}});
        let limits = normalised("core.v1.ResourceRequirements", limits).unwrap().0;
        assert_eq!(limits, json!({"limits": {"cpu": "500m", "memory": "1Gi"}}));
        let lease = json!({"renewTime": "2020-01-01T01:00:00.123456+01:00"});
        let lease = normalised("coordination.v1.LeaseSpec", lease).unwrap().0;
        assert_eq!(lease, json!({"renewTime": "2020-01-01T00:00:00.123456Z"}));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_the_words_of_go() {
        let words = |kind: &str, object: Value| normalised(kind, object).unwrap_err();
        assert_eq!(
            words("apps.v1.Deployment", json!({"spec": {"replicas": "3"}})),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
        assert_eq!(
            words("apps.v1.Deployment", json!({"spec": {"template": {"spec": {"containers": [{"name": 1}]}}}})),
            "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name of type \
             string"
        );
        assert_eq!(
            words("coordination.v1.LeaseSpec", json!({"renewTime": "2020-01-01T00:00:00Z"})),
            "parsing time \"2020-01-01T00:00:00Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \
             \".000000\""
        );
    }
}
