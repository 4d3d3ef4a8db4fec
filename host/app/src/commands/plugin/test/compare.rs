//! What is expected beside what was found: every place where they differ.

use serde_json::Value;

#[derive(Debug, PartialEq)]
pub struct Difference {
    /// As in `postprocessing.pieces[2]`.
    pub place: String,
    pub expected: Option<Value>,
    pub found: Option<Value>,
}

/// An object may leave members out, which then may be anything; lists must be equal in length. So a case can name what matters to it.
pub fn differences(expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(String::new(), Some(expected), Some(found), &mut differences);
    differences
}

fn compare(place: String, expected: Option<&Value>, found: Option<&Value>, out: &mut Vec<Difference>) {
    match (expected, found) {
        (Some(Value::Object(expected)), Some(Value::Object(found))) => {
            for (key, value) in expected {
                let place = match place.as_str() {
                    "" => key.clone(),
                    above => format!("{above}.{key}"),
                };
                compare(place, Some(value), found.get(key), out);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(found))) => {
            for index in 0..expected.len().max(found.len()) {
                compare(format!("{place}[{index}]"), expected.get(index), found.get(index), out);
            }
        }
        (expected, found) if is_equal(expected, found) => {}
        (expected, found) => out.push(Difference {
            place,
            expected: expected.cloned(),
            found: found.cloned(),
        }),
    }
}

/// Numbers by their value: 1 and 1.0 are the same.
fn is_equal(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Number(one)), Some(Value::Number(other))) => one == other || one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_may_be_left_out_and_nothing_else() {
        let found = json!({"retrieval": {"passages": [{"text": "a", "score": 1.0}, {"text": "b", "score": 0.5}]}});
        for same in [
            json!({}),
            json!({"retrieval": {"passages": [{"text": "a"}, {"score": 0.5}]}}),
            json!({"retrieval": {"passages": [{"score": 1}, {}]}}),
        ] {
            assert_eq!(differences(&same, &found), [], "{same}");
        }
        let places = |expected| {
            let differences = differences(&expected, &found);
            differences
                .into_iter()
                .map(|difference| difference.place)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            places(json!({"retrieval": {"passages": [{"text": "a"}]}})),
            ["retrieval.passages[1]"]
        );
        assert_eq!(
            places(json!({"retrieval": {"passages": [{"text": "b"}, {}, {}]}})),
            ["retrieval.passages[0].text", "retrieval.passages[2]"]
        );
        assert_eq!(
            places(json!({"prompting": {}, "retrieval": []})),
            ["prompting", "retrieval"]
        );
    }
}
