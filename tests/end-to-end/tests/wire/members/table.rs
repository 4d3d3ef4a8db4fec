//! A table of members and what is to happen with each. Not here: the members of an operation.

use riad_end_to_end::{Answer, Tenant};
use serde_json::{Map, Value, json};

/// What the server does with a member.
#[derive(Clone)]
enum Rule {
    /// Read; null is an error too.
    Required,
    Read,
    /// Accepted with any value, and changes nothing.
    Ignored,
    /// Refused, but for values that change nothing.
    Refused {
        harmless: Vec<Value>,
    },
}

pub struct Member {
    /// A JSON pointer into the body.
    pointer: &'static str,
    rule: Rule,
    valid: Value,
    wrong: Value,
    /// Members of the body that the value needs.
    beside: Value,
}

/// `wrong` is of another type than the member, or cannot be read for what it is.
pub fn required(pointer: &'static str, valid: Value, wrong: Value) -> Member {
    member(pointer, Rule::Required, valid, wrong)
}

pub fn read(pointer: &'static str, valid: Value, wrong: Value) -> Member {
    member(pointer, Rule::Read, valid, wrong)
}

pub fn ignored(pointer: &'static str, valid: Value) -> Member {
    member(pointer, Rule::Ignored, valid, json!([[5], "text", {"a": false}]))
}

pub fn refused<const N: usize>(pointer: &'static str, valid: Value, harmless: [Value; N]) -> Member {
    let rule = Rule::Refused {
        harmless: harmless.into(),
    };
    member(pointer, rule, valid, json!([[5], "text", {"a": false}]))
}

fn member(pointer: &'static str, rule: Rule, valid: Value, wrong: Value) -> Member {
    Member {
        pointer,
        rule,
        valid,
        wrong,
        beside: json!({}),
    }
}

impl Member {
    /// With these members of the body beside it.
    pub fn beside(mut self, members: Value) -> Self {
        self.beside = members;
        self
    }
}

/// An operation that reads JSON.
pub struct Operation {
    pub path: &'static str,
    /// A good body, whose answer is the same each time.
    pub body: Value,
    /// JSON pointer to what of the answer must not change when a member is ignored.
    pub answer: &'static str,
}

impl Operation {
    pub async fn check(&self, tenant: &Tenant, members: Vec<Member>) {
        let expected = tenant
            .post(self.path, &self.body)
            .await
            .ok()
            .pointer(self.answer)
            .cloned();
        assert!(expected.is_some(), "{}", self.path);
        for member in members {
            let try_value = async |value: &Value| {
                let body = with(&self.body, &member, value.clone());
                let answer = tenant.post(self.path, &body).await;
                (format!("{} {}: {value}", self.path, member.pointer), answer)
            };
            let values = [&member.valid, &Value::Null, &member.wrong];
            for (index, value) in values.into_iter().enumerate() {
                let (case, answer) = try_value(value).await;
                match (&member.rule, index) {
                    (Rule::Ignored, _) => {
                        assert_eq!(answer.status.as_u16(), 200, "{case}\n{}", answer.body);
                        assert_eq!(answer.json().pointer(self.answer), expected.as_ref(), "{case}");
                    }
                    (Rule::Required | Rule::Read, 0) | (Rule::Read | Rule::Refused { .. }, 1) => {
                        assert_eq!(answer.status.as_u16(), 200, "{case}\n{}", answer.body);
                    }
                    (Rule::Required | Rule::Read | Rule::Refused { .. }, _) => {
                        assert_is_named(&case, &answer, member.pointer);
                    }
                }
            }
            if let Rule::Refused { harmless } = &member.rule {
                for value in harmless {
                    let (case, answer) = try_value(value).await;
                    assert_eq!(answer.status.as_u16(), 200, "{case}\n{}", answer.body);
                    assert_eq!(answer.json().pointer(self.answer), expected.as_ref(), "{case}");
                }
            }
        }
    }
}

/// The error names the member, or one that it is a part of.
fn assert_is_named(case: &str, answer: &Answer, pointer: &str) {
    assert_eq!(answer.status.as_u16(), 400, "{case}\n{}", answer.body);
    let mut name = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => name += &format!("[{index}]"),
            Err(_) if name.is_empty() => name += part,
            Err(_) => name += &format!(".{part}"),
        }
    }
    let param = answer.text("/error/param");
    assert!(!param.is_empty() && name.starts_with(&param), "{case}\n{}", answer.body);
}

/// The body with another value at the member's place.
fn with(body: &Value, member: &Member, value: Value) -> Value {
    let mut body = body.clone();
    let beside: &Map<_, _> = member.beside.as_object().unwrap();
    body.as_object_mut().unwrap().extend(beside.clone());
    let (parent, name) = member.pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    parent[name] = value;
    body
}
