//! How large a tree a JSON text becomes, before one is built: a tree takes up to a hundred times the bytes of its text.
//! Not here: what a text means.

/// JSON values that the server reads from one text: a body, a document's metadata, what a guest returns. The largest settings have about
/// this many, and a tree of so many values has some twenty megabytes at most.
pub const VALUES_MAX: usize = 32 << 10;

/// The values in a JSON text, or `None` if there are more than `most`: one for each list and object, and one more for each comma. Of a
/// text that breaks off or is no JSON, those before the fault are counted, and a parser keeps no others.
#[must_use]
pub fn count_values(text: &[u8], most: usize) -> Option<usize> {
    let (mut bytes, mut values) = (text.iter(), 1_usize);
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' | b',' => values += 1,
            _ => {}
        }
        if values > most {
            return None;
        }
    }
    Some(values)
}

/// To behind the closing quote.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// All values of a tree.
    fn values(tree: &Value) -> usize {
        1 + match tree {
            Value::Array(values_of) => values_of.iter().map(values).sum(),
            Value::Object(members) => members.values().map(values).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    #[test]
    fn no_tree_has_more_values_than_are_counted() {
        for text in [
            "1",
            "[]",
            r#"{"a": 1}"#,
            r#"[1, [2, {"a": [], "b": {}}], "x"]"#,
            r#"{"a,[{": "\",[[[\\", "b": ["\\\"[", ",,,"]}"#,
            "[[[[],[]],[[],[]]],[{},{}]]",
        ] {
            let counted = count_values(text.as_bytes(), VALUES_MAX).unwrap();
            let tree = values(&serde_json::from_str(text).unwrap());
            assert!(tree <= counted && counted <= 2 * tree, "{counted} for {tree} of {text}");
        }
        let strings = r#"{"a,[{": "\",[[[\\", "b": ",,,"}"#;
        assert_eq!(
            count_values(strings.as_bytes(), VALUES_MAX),
            Some(3),
            "not what stands in strings"
        );
    }

    #[test]
    fn counting_ends_at_the_first_value_too_many() {
        let list = |values: usize| format!("[{}]", vec!["1"; values - 2].join(","));
        assert_eq!(count_values(list(10).as_bytes(), 10), Some(9));
        assert_eq!(count_values(list(12).as_bytes(), 10), None);
        // Also in what no parser would read.
        assert_eq!(count_values(&[b'['; 100], 10), None);
        assert_eq!(count_values(b"\"\\", 10), Some(1));
    }
}
