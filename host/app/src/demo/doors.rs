//! What a tenant gets who reaches for the other's things with its own key. Not here: the questions.

use super::stage::{ALIAS, Cast, Guest};
use crate::{
    client::Client,
    output::{data, text},
};
use riad_core::{ErrorKind, Result};
use serde_json::{Value, json};

/// A door and what was behind it.
pub struct Door {
    pub tried: String,
    pub got: String,
    pub shut: bool,
}

/// What each tenant tries; Acme first.
pub async fn try_all(cast: &Cast) -> Result<(Vec<Door>, Vec<Door>)> {
    let base = &cast.globex.model;
    let model = format!("{base}:{ALIAS}");
    let ask = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    let acme = vec![
        read_document(&cast.acme.client, &cast.globex).await,
        search(&cast.acme.client, "Meridian contract", &cast.globex).await?,
    ];
    let globex = vec![
        read_document(&cast.globex.client, &cast.acme).await,
        refused(
            format!("ask {model}"),
            cast.globex.client.post("/v1/chat/completions", &ask).await,
            ErrorKind::ModelNotFound,
        ),
        empty(&cast.globex.client, "/v1/plugins", "plugins").await?,
    ];
    Ok((acme, globex))
}

async fn read_document(client: &Client, other: &Guest) -> Door {
    let id = other.documents.first().map_or("", String::as_str);
    let answer = client.get(&format!("/v1/documents/{id}")).await;
    refused(
        format!("read {}'s document {id}", other.id),
        answer,
        ErrorKind::NotFound,
    )
}

async fn search(client: &Client, query: &str, other: &Guest) -> Result<Door> {
    let found = client.post("/v1/search", &json!({"query": query, "limit": 10})).await?;
    let theirs = data(&found)
        .iter()
        .filter(|passage| other.documents.contains(&text(passage, "document")))
        .count();
    Ok(Door {
        tried: format!("search for \"{query}\""),
        got: format!("{theirs} of {} passages are {}'s", data(&found).len(), other.id),
        shut: theirs == 0,
    })
}

async fn empty(client: &Client, path: &str, what: &str) -> Result<Door> {
    let count = data(&client.get(path).await?).len();
    Ok(Door {
        tried: format!("list {what}"),
        got: format!("{count} {what}"),
        shut: count == 0,
    })
}

fn refused(tried: String, answer: Result<Value>, wanted: ErrorKind) -> Door {
    match answer {
        Ok(_) => Door {
            tried,
            got: "the server answered".into(),
            shut: false,
        },
        Err(error) => Door {
            tried,
            got: error.message().to_owned(),
            shut: error.kind() == wanted,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Error;

    #[test]
    fn a_door_is_shut_only_if_it_looks_as_if_there_were_nothing_behind_it() {
        let door = |answer| refused(String::new(), answer, ErrorKind::NotFound);
        assert!(door(Err(Error::not_found("none"))).shut);
        assert!(!door(Err(Error::new(ErrorKind::Unauthenticated, "forbidden"))).shut);
        assert!(!door(Ok(Value::Null)).shut);
    }
}
