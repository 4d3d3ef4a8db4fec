//! Reads the parameters of a query into a type of `api-types`, with errors that name the parameter in our words. Not here: what their values
//! mean.

use crate::error::ApiError;
use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use riad_core::Error;
use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, IntoDeserializer, SeqAccess, Visitor,
        value::{MapDeserializer, StringDeserializer},
    },
    forward_to_deserialize_any,
};
use std::fmt;

/// More than any path has. Each is compared with those before it.
const PARAMETERS_MAX: usize = 256;

/// Parameters of the query. A list is a parameter that is there several times, with or without `[]` behind its name.
pub(crate) struct QueryParts<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParts<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let unreadable = |_| Error::invalid("the query could not be read; write it as name=value&name=value");
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(unreadable)?;
        Ok(Self(read(pairs)?))
    }
}

fn read<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, Error> {
    if pairs.len() > PARAMETERS_MAX {
        return Err(Error::invalid(format!("a query may have {PARAMETERS_MAX} parameters")));
    }
    let mut parameters: Vec<(String, Value)> = Vec::new();
    for (name, text) in pairs {
        let name = name.strip_suffix("[]").unwrap_or(&name);
        match parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => value.texts.push(text),
            None => {
                let value = Value {
                    name: name.to_owned(),
                    texts: vec![text],
                };
                parameters.push((name.to_owned(), value));
            }
        }
    }
    Ok(T::deserialize(MapDeserializer::<_, ParameterError>::new(
        parameters.into_iter(),
    ))?)
}

/// What one parameter says.
struct Value {
    name: String,
    /// At least one.
    texts: Vec<String>,
}

impl Value {
    fn wrong(&self, what: &str) -> ParameterError {
        ParameterError::of(&self.name, what)
    }

    fn text(mut self) -> Result<String, ParameterError> {
        match (self.texts.pop(), self.texts.is_empty()) {
            (Some(text), true) => Ok(text),
            _ => Err(self.wrong("is there several times; send it once")),
        }
    }

    /// `most` is what the type of the number can hold.
    fn number<N: std::str::FromStr>(self, most: impl fmt::Display) -> Result<N, ParameterError> {
        let name = self.name.clone();
        let number = self.text()?.parse();
        number.map_err(|_| ParameterError::of(&name, &format!("must be a whole number from 0 to {most}")))
    }
}

impl IntoDeserializer<'_, ParameterError> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value {
    type Error = ParameterError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        let name = self.name.clone();
        let read = visitor.visit_string::<ParameterError>(self.text()?);
        read.map_err(|error| error.named(&name))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        let name = self.name.clone();
        match self.text()?.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(ParameterError::of(&name, "must be true or false")),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        visitor.visit_u32(self.number(u32::MAX)?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        visitor.visit_u64(self.number(u64::MAX)?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        visitor.visit_seq(Texts(self.texts.into_iter()))
    }

    // Parameters are of no other type than those above and text.
    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct map struct
        enum identifier ignored_any
    }
}

struct Texts(std::vec::IntoIter<String>);

impl<'de> SeqAccess<'de> for Texts {
    type Error = ParameterError;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ParameterError> {
        let text = self.0.next().map(StringDeserializer::new);
        text.map(|text| seed.deserialize(text)).transpose()
    }
}

/// What is wrong, and with which parameter.
#[derive(Debug)]
struct ParameterError {
    name: Option<String>,
    what: String,
}

impl ParameterError {
    fn of(name: &str, what: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            what: what.to_owned(),
        }
    }

    fn named(self, name: &str) -> Self {
        Self {
            name: self.name.or_else(|| Some(name.to_owned())),
            ..self
        }
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{name} {}", self.what),
            None => formatter.write_str(&self.what),
        }
    }
}

impl std::error::Error for ParameterError {}

impl de::Error for ParameterError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self {
            name: None,
            what: text.to_string(),
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let known = match expected {
            [] => "it has none".to_owned(),
            known => format!("it has {}", known.join(", ")),
        };
        Self::of(field, &format!("is no parameter of this path; {known}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of(field, "is missing; add it to the query")
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::of(field, "is there several times; send it once")
    }
}

impl From<ParameterError> for Error {
    fn from(error: ParameterError) -> Self {
        let invalid = Self::invalid(error.to_string());
        match error.name {
            Some(name) => invalid.with_param(name),
            None => invalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        start: u64,
        limit: Option<u32>,
        order: Option<String>,
        wait: Option<bool>,
        #[serde(default)]
        include: Vec<String>,
    }

    fn query(query: &str) -> Result<Parameters, Error> {
        let Query(pairs) = Query::try_from_uri(&format!("/path?{query}").parse().unwrap()).unwrap();
        read(pairs)
    }

    #[test]
    fn parameters_are_read_in_any_order() {
        let read =
            query("order=a%20b&include[]=x&start=1&limit=4294967295&wait=true&include=y&include%5B%5D=z").unwrap();
        let expected = Parameters {
            start: 1,
            limit: Some(u32::MAX),
            order: Some("a b".into()),
            wait: Some(true),
            include: vec!["x".into(), "y".into(), "z".into()],
        };
        assert_eq!(read, expected);
        let least = Parameters {
            start: u64::MAX,
            ..Parameters::default()
        };
        assert_eq!(query("start=18446744073709551615").unwrap(), least);
        let empty = query("start=1&order=").unwrap();
        assert_eq!(empty.order.as_deref(), Some(""));
    }

    #[test]
    fn each_error_names_its_parameter() {
        for (text, param, says) in [
            ("", "start", "is missing"),
            (
                "start=x",
                "start",
                "must be a whole number from 0 to 18446744073709551615",
            ),
            (
                "start=1&limit=-1",
                "limit",
                "must be a whole number from 0 to 4294967295",
            ),
            ("start=1&limit=4294967296", "limit", "must be a whole number"),
            ("start=1&limit=", "limit", "must be a whole number"),
            ("start=1&limit=1.5", "limit", "must be a whole number"),
            ("start=1&wait=perhaps", "wait", "must be true or false"),
            ("start=1&wait=", "wait", "must be true or false"),
            ("start=1&start=2", "start", "several times"),
            ("start=1&order=a&order=b", "order", "several times"),
            ("start=1&later=1", "later", "it has start, limit, order, wait, include"),
        ] {
            let error = query(text).unwrap_err();
            assert_eq!(error.param(), Some(param), "{text}: {}", error.message());
            assert!(error.message().contains(says), "{text}: {}", error.message());
        }
    }
}
