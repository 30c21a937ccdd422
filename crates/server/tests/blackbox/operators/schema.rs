//! The description of the admin API, and whether an answer is as it says: as much of JSON Schema as the description uses.

use std::sync::LazyLock;

use serde_json::Value;

/// `deploy/openapi/admin.json`.
pub(super) static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/openapi/admin.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the description")).expect("JSON")
});

/// What a reference points at, or the value itself.
pub(super) fn resolved(value: &Value) -> &Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference into the description");
            DESCRIPTION.pointer(pointer).unwrap_or_else(|| panic!("{reference} is not described"))
        }
        None => value,
    }
}

/// What is wrong with a value by a schema; nothing if all is right.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, value, "", &mut faults);
    faults
}

fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = resolved(schema).as_object().expect("a schema is an object");
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "description" | "default" | "properties" | "additionalProperties" | "pattern" => {}
            "type" => {
                let names: Vec<&str> = match wanted {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => name.as_str().into_iter().collect(),
                };
                if !names.iter().any(|name| is(name, value)) {
                    faults.push(format!("{at}: {value} is none of {names:?}"));
                }
            }
            "enum" => {
                if !wanted.as_array().expect("a list").contains(value) {
                    faults.push(format!("{at}: {value} is none of {wanted}"));
                }
            }
            "minimum" => {
                if value.as_f64().is_some_and(|number| number < wanted.as_f64().expect("a number")) {
                    faults.push(format!("{at}: {value} is below {wanted}"));
                }
            }
            "anyOf" | "oneOf" => {
                let fits = |one: &&Value| {
                    let mut faults = Vec::new();
                    check(one, value, at, &mut faults);
                    faults.is_empty()
                };
                let count = wanted.as_array().expect("a list").iter().filter(fits).count();
                if count == 0 || (keyword == "oneOf" && count > 1) {
                    faults.push(format!("{at}: {value} fits {count} of {keyword}"));
                }
            }
            "required" => {
                for name in wanted.as_array().expect("a list").iter().filter_map(Value::as_str) {
                    if value.is_object() && value.get(name).is_none() {
                        faults.push(format!("{at}: {name} is missing"));
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(wanted, item, &format!("{at}/{index}"), faults);
                }
            }
            other => panic!("this check does not know {other}"),
        }
    }
    let (properties, others) = (schema.get("properties"), schema.get("additionalProperties"));
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        match (properties.and_then(|properties| properties.get(name)), others) {
            (Some(schema), _) => check(schema, member, &at, faults),
            (None, Some(Value::Bool(false))) => faults.push(format!("{at} is not described")),
            (None, Some(schema @ Value::Object(_))) => check(schema, member, &at, faults),
            (None, _) => {}
        }
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("this check does not know the type {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::faults;

    #[test]
    fn what_is_wrong_is_found() {
        let schema = json!({
            "type": "object",
            "required": ["a"],
            "properties": {
                "a": {"type": ["integer", "null"], "minimum": 1},
                "b": {"type": "array", "items": {"type": "string", "enum": ["x"]}},
                "c": {"anyOf": [{"type": "object", "additionalProperties": {"type": "boolean"}}, {"type": "null"}]},
            },
            "additionalProperties": false,
        });
        for right in
            [json!({"a": 1}), json!({"a": null, "b": ["x", "x"], "c": {"d": true}}), json!({"a": 2, "c": null})]
        {
            assert_eq!(faults(&schema, &right), Vec::<String>::new());
        }
        let wrong = [
            json!([]),
            json!({}),
            json!({"a": 0}),
            json!({"a": "1"}),
            json!({"a": 1, "b": ["y"]}),
            json!({"a": 1, "b": {}}),
            json!({"a": 1, "c": {"d": 1}}),
            json!({"a": 1, "d": 1}),
        ];
        for value in wrong {
            assert_eq!(faults(&schema, &value).len(), 1, "{value}");
        }
    }
}
