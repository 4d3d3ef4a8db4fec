//! The request that was just sent, as a program sends it. No key is in it: the reader's own stands in the environment.

use serde::Serialize;
use serde_json::Value;

/// The variable that the snippets read the key from.
const KEY: &str = "RIAD_API_KEY";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Snippet {
    pub name: &'static str,
    pub code: String,
}

/// `base` is the server's address, such as `http://localhost:8080`.
pub(crate) fn snippets(base: &str, body: &Value) -> [Snippet; 3] {
    let json = serde_json::to_string_pretty(body).unwrap_or_default();
    let compact = in_ascii(&body.to_string());
    [
        Snippet {
            name: "curl",
            code: format!(
                "curl {} \\\n  -H \"Authorization: Bearer ${KEY}\" \\\n  -H 'Content-Type: application/json' \\\n  -d {}\n",
                shell(&format!("{base}/v1/chat/completions")),
                shell(&json)
            ),
        },
        Snippet {
            name: "Python",
            // A JSON text is no Python literal (`true`, `null`), so Python reads it.
            code: format!(
                "import json, os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url={}, api_key=os.environ[\"{KEY}\"])\n\
                 request = json.loads({})\nanswer = client.chat.completions.create(**request)\n\
                 print(answer.choices[0].message.content)\n",
                quoted(&format!("{base}/v1")),
                quoted(&compact)
            ),
        },
        Snippet {
            name: "JavaScript",
            code: format!(
                "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{ baseURL: {}, apiKey: process.env.{KEY} }});\n\
                 const answer = await client.chat.completions.create({json});\nconsole.log(answer.choices[0].message.content);\n",
                quoted(&format!("{base}/v1"))
            ),
        },
    ]
}

/// JSON in ASCII only: every program and terminal reads it alike.
fn in_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// A string that Python and JavaScript read alike, of a text in ASCII.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// One word for a shell.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_quote_ends_no_string() {
        let body = json!({"messages": [{"content": "it's \"so\"; $(id)\n</script>"}]});
        let [curl, python, script] = snippets("http://localhost:8080", &body);
        assert!(curl.code.contains(r#"it'\''s \"so\""#), "{}", curl.code);
        assert!(python.code.contains(r#"\\\"so\\\""#), "{}", python.code);
        assert!(script.code.contains(r#"it's \"so\""#), "{}", script.code);
    }

    #[test]
    fn other_letters_are_escaped_where_python_reads_json() {
        let body = json!({"content": "ü 🏠"});
        let [_, python, _] = snippets("http://localhost", &body);
        // Python's own string has one backslash less, so that its reader of JSON joins the two halves.
        assert!(python.code.contains(r"\\u00fc \\ud83c\\udfe0"), "{}", python.code);
    }
}
