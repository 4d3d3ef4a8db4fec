//! A setting as a field of a form: what its JSON Schema says of it, and its value as text. What the schema says more is checked when the
//! settings are stored.

use maud::{Markup, html};
use riad_core::{Error, Result};
use serde_json::{Map, Number, Value};

/// Before the name of a field, so that no setting is taken for the session's token.
pub(super) const PREFIX: &str = "setting.";
/// A text that may be as long gets more than a line.
const LONG: u64 = 200;

#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub name: String,
    title: Option<String>,
    description: Option<String>,
    default: Option<Value>,
    is_required: bool,
    /// Whether it is written and never shown.
    pub is_secret: bool,
    kind: Kind,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Text {
        long: bool,
    },
    Choice(Vec<Value>),
    Flag,
    Number {
        whole: bool,
        least: Option<Number>,
        most: Option<Number>,
    },
    /// Lists, objects and all else.
    Json,
}

impl Field {
    /// Of the properties of a schema, in the order of their names.
    pub fn of_schema(schema: &Map<String, Value>) -> Vec<Self> {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let field = |(name, property): (&String, &Value)| {
            let text = |key: &str| property.get(key).and_then(Value::as_str).map(str::to_owned);
            Self {
                name: name.clone(),
                title: text("title"),
                description: text("description"),
                default: property.get("default").cloned(),
                is_required: required.contains(&name.as_str()),
                is_secret: property.get("writeOnly") == Some(&Value::Bool(true))
                    || text("format").as_deref() == Some("password"),
                kind: Kind::of(property),
            }
        };
        properties.into_iter().flatten().map(field).collect()
    }

    pub fn input(&self, value: Option<&Value>) -> Markup {
        let id = format!("field-{}", self.name);
        let hint = format!("{id}-hint");
        let name = format!("{PREFIX}{}", self.name);
        let text = match (value, self.is_secret) {
            (Some(value), false) => self.text(value),
            (None, _) | (Some(_), true) => String::new(),
        };
        let placeholder = self.default.as_ref().map(|default| self.text(default));
        let described = self.description.is_some().then_some(hint.as_str());
        html! {
            div.field {
                label for=(id) {
                    (self.title.as_deref().unwrap_or(&self.name))
                    @if self.is_required { span.muted { " (required)" } }
                }
                @match &self.kind {
                    Kind::Choice(choices) => select id=(id) name=(name) aria-describedby=[described] {
                        option value="" selected[value.is_none()] { (unset(placeholder.as_deref())) }
                        @for choice in choices { option value=(self.text(choice)) selected[value == Some(choice)] { (self.text(choice)) } }
                    },
                    Kind::Flag => select id=(id) name=(name) aria-describedby=[described] {
                        option value="" selected[value.is_none()] { (unset(placeholder.as_deref())) }
                        @for flag in [true, false] {
                            option value=(flag) selected[value == Some(&Value::Bool(flag))] { @if flag { "yes" } @else { "no" } }
                        }
                    },
                    Kind::Number { whole, least, most } => input id=(id) name=(name) type="number" value=(text)
                        step=(if *whole { "1" } else { "any" }) min=[least.as_ref()] max=[most.as_ref()]
                        placeholder=[placeholder.as_deref()] aria-describedby=[described];,
                    Kind::Text { .. } if self.is_secret => input id=(id) name=(name) type="password" autocomplete="off"
                        placeholder=[value.map(|_| "set; leave empty to keep it")] aria-describedby=[described];,
                    Kind::Text { long: false } => input id=(id) name=(name) value=(text) placeholder=[placeholder.as_deref()]
                        aria-describedby=[described];,
                    Kind::Text { long: true } => textarea id=(id) name=(name) rows="4" placeholder=[placeholder.as_deref()]
                        aria-describedby=[described] { (text) },
                    Kind::Json => textarea.code id=(id) name=(name) rows="6" spellcheck="false" placeholder=[placeholder.as_deref()]
                        aria-describedby=[described] { (text) },
                }
                @if let Some(description) = &self.description { p.hint id=(hint) { (description) } }
            }
        }
    }

    /// Puts what was filled in into the settings; an empty field takes the setting out, but a secret that is not shown stays.
    ///
    /// # Errors
    /// `InvalidRequest` names the setting whose text is no value.
    pub fn write(&self, text: &str, settings: &mut Map<String, Value>) -> Result<()> {
        let is_text = matches!(self.kind, Kind::Text { .. });
        if text.is_empty() || (!is_text && text.trim().is_empty()) {
            if !self.is_secret {
                settings.remove(&self.name);
            }
            return Ok(());
        }
        settings.insert(self.name.clone(), self.value(text)?);
        Ok(())
    }

    fn value(&self, text: &str) -> Result<Value> {
        let wrong = |what: &str| Error::invalid(format!("{} must be {what}", self.name)).with_param(&self.name);
        match &self.kind {
            // Forms send line ends of their own.
            Kind::Text { .. } => Ok(Value::from(text.replace("\r\n", "\n"))),
            Kind::Choice(choices) => {
                let found = choices.iter().find(|choice| self.text(choice) == text);
                found.cloned().ok_or_else(|| wrong("one of the choices"))
            }
            Kind::Flag => text.parse().map(Value::Bool).map_err(|_| wrong("true or false")),
            Kind::Number { .. } => match serde_json::from_str(text.trim()) {
                Ok(Value::Number(number)) => Ok(Value::Number(number)),
                Ok(_) | Err(_) => Err(wrong("a number")),
            },
            Kind::Json => serde_json::from_str(text).map_err(|error| wrong(&format!("JSON: {error}"))),
        }
    }

    fn text(&self, value: &Value) -> String {
        match (&self.kind, value) {
            (Kind::Json, value) => serde_json::to_string_pretty(value).unwrap_or_default(),
            (_, Value::String(text)) => text.clone(),
            (_, value) => value.to_string(),
        }
    }
}

impl Kind {
    fn of(property: &Value) -> Self {
        let number = |key: &str| property.get(key).and_then(Value::as_number).cloned();
        if let Some(choices) = property.get("enum").and_then(Value::as_array) {
            return Self::Choice(choices.clone());
        }
        match property.get("type").and_then(Value::as_str) {
            Some("string") => Self::Text {
                long: property
                    .get("maxLength")
                    .and_then(Value::as_u64)
                    .is_some_and(|most| most > LONG),
            },
            Some("boolean") => Self::Flag,
            Some(kind @ ("integer" | "number")) => Self::Number {
                whole: kind == "integer",
                least: number("minimum"),
                most: number("maximum"),
            },
            Some(_) | None => Self::Json,
        }
    }
}

fn unset(default: Option<&str>) -> String {
    match default {
        Some(default) => format!("not set ({default})"),
        None => "not set".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields() -> Vec<Field> {
        let schema = json!({
            "type": "object",
            "required": ["shop"],
            "properties": {
                "shop": {"type": "string", "description": "Its <b>name</b>."},
                "mode": {"enum": ["strict", "loose"], "default": "strict"},
                "active": {"type": "boolean"},
                "most": {"type": "integer", "minimum": 1, "maximum": 9},
                "orders": {"type": "array"},
                "secret": {"type": "string", "writeOnly": true},
            },
        });
        Field::of_schema(schema.as_object().unwrap())
    }

    fn write(name: &str, text: &str, settings: Value) -> Result<Value> {
        let fields = fields();
        let field = fields.iter().find(|field| field.name == name).unwrap();
        let mut settings = settings.as_object().unwrap().clone();
        field.write(text, &mut settings)?;
        Ok(Value::Object(settings))
    }

    #[test]
    fn a_field_writes_a_value_of_its_type() {
        for (name, text, value) in [
            ("shop", "Alfa\r\nTools", json!("Alfa\nTools")),
            ("mode", "loose", json!("loose")),
            ("active", "false", json!(false)),
            ("most", " 5 ", json!(5)),
            ("orders", "[{\"number\": 1}]", json!([{"number": 1}])),
        ] {
            assert_eq!(write(name, text, json!({})).unwrap(), json!({name: value}));
        }
    }

    #[test]
    fn what_is_no_value_names_its_setting() {
        for (name, text) in [
            ("mode", "both"),
            ("active", "maybe"),
            ("most", "\"5\""),
            ("orders", "["),
        ] {
            assert_eq!(write(name, text, json!({})).unwrap_err().param(), Some(name));
        }
    }

    #[test]
    fn an_empty_field_takes_a_setting_out_but_keeps_a_secret() {
        assert_eq!(
            write("shop", "", json!({"shop": "x", "other": 1})).unwrap(),
            json!({"other": 1})
        );
        assert_eq!(
            write("secret", "", json!({"secret": "x"})).unwrap(),
            json!({"secret": "x"})
        );
    }

    #[test]
    fn a_secret_is_not_shown_and_descriptions_are_text() {
        let fields = fields();
        let shown = |name: &str, value: Value| {
            let field = fields.iter().find(|field| field.name == name).unwrap();
            field.input(Some(&value)).into_string()
        };
        assert!(!shown("secret", json!("hush")).contains("hush"));
        let shop = shown("shop", json!("\"><script>"));
        assert!(!shop.contains("<script>") && !shop.contains("<b>"), "{shop}");
    }
}
