//! Fields that JSON names twice: the last one counts, and the client is told.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::schema::place::Place;

/// Reads JSON, and gives the paths of the fields that are named twice, as in `spec.replicas`.
pub(super) fn read(json: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut found = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Reader { place: &Place::Root, found: &mut found }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, found))
}

struct Reader<'a> {
    place: &'a Place<'a>,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let place = Place::Field(self.place, &name);
            if fields.contains_key(&name) {
                self.found.push(place.to_string());
            }
            let value = map.next_value_seed(Reader { place: &place, found: self.found })?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        let mut item = |place| list.next_element_seed(Reader { place: &place, found: self.found });
        while let Some(value) = item(Place::Item(self.place, items.len()))? {
            items.push(value);
        }
        Ok(Value::Array(items))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Value, read};

    #[test]
    fn fields_that_are_named_twice_are_found_by_their_path_and_the_last_counts() {
        let (value, twice) = read(br#"{"a":1,"b":{"c":1,"c":2},"d":[{"e":1,"e":null}],"a":"x"}"#).unwrap();
        assert_eq!(twice, ["b.c", "d[0].e", "a"]);
        assert_eq!(value, json!({"a": "x", "b": {"c": 2}, "d": [{"e": null}]}));
    }

    #[test]
    fn json_is_read_as_any_other_reads_it() {
        for json in [
            r#"{"a":[1,true,1.5,null,-1,"x\u00e9\n","y",18446744073709551615,1e-400],"a\u0062":{}}"#,
            "[1e400]",
            "[1,2",
            "{} x",
            "",
            "nul",
            r#"{"a":}"#,
            r#"{1:2}"#,
            &"[".repeat(200),
        ] {
            let expected = serde_json::from_str::<Value>(json).map_err(|error| error.to_string());
            assert_eq!(
                read(json.as_bytes()).map(|(value, _)| value).map_err(|error| error.to_string()),
                expected,
                "{json}"
            );
        }
    }
}
