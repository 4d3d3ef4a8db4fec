//! Attempts of each tenant to reach the other's data with its own key.

use super::setup::{ALIAS, DemoTenant, Tenants};
use crate::{
    client::Client,
    output::{data, text},
};
use riad_core::{ErrorKind, Result};
use serde_json::{Value, json};

/// One attempt and the server's response.
pub struct Attempt {
    pub action: String,
    pub response: String,
    /// Whether the response looks as if the other's data did not exist.
    pub prevented: bool,
}

/// Makes all attempts; Acme's come first.
pub async fn run(tenants: &Tenants) -> Result<(Vec<Attempt>, Vec<Attempt>)> {
    let base = &tenants.globex.model;
    let model = format!("{base}:{ALIAS}");
    let ask = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    let acme = vec![
        read_document(&tenants.acme.client, &tenants.globex).await,
        search(&tenants.acme.client, "Meridian contract", &tenants.globex).await?,
    ];
    let globex = vec![
        read_document(&tenants.globex.client, &tenants.acme).await,
        refused(
            format!("ask {model}"),
            tenants.globex.client.post("/v1/chat/completions", &ask).await,
            ErrorKind::ModelNotFound,
        ),
        list_nothing(&tenants.globex.client, "/v1/plugins", "plugins").await?,
    ];
    Ok((acme, globex))
}

async fn read_document(client: &Client, other: &DemoTenant) -> Attempt {
    let id = other.document_ids.first().map_or("", String::as_str);
    let answer = client.get(&format!("/v1/documents/{id}")).await;
    refused(
        format!("read {}'s document {id}", other.id),
        answer,
        ErrorKind::NotFound,
    )
}

async fn search(client: &Client, query: &str, other: &DemoTenant) -> Result<Attempt> {
    let found = client.post("/v1/search", &json!({"query": query, "limit": 10})).await?;
    let theirs = data(&found)
        .iter()
        .filter(|passage| other.document_ids.contains(&text(passage, "document")))
        .count();
    Ok(Attempt {
        action: format!("search for \"{query}\""),
        response: format!("{theirs} of {} passages found are {}'s", data(&found).len(), other.id),
        prevented: theirs == 0,
    })
}

async fn list_nothing(client: &Client, path: &str, what: &str) -> Result<Attempt> {
    let count = data(&client.get(path).await?).len();
    Ok(Attempt {
        action: format!("list {what}"),
        response: format!("the list has {count} {what}"),
        prevented: count == 0,
    })
}

/// A request that the server must refuse with status 404 and this kind.
fn refused(action: String, answer: Result<Value>, expected: ErrorKind) -> Attempt {
    let (response, prevented) = match answer {
        Ok(_) => ("the server answered the request".to_owned(), false),
        Err(error) if error.kind() == expected => (format!("refused with 404: {}", error.message()), true),
        Err(error) => (format!("refused, but not with 404: {}", error.message()), false),
    };
    Attempt {
        action,
        response,
        prevented,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Error;

    #[test]
    fn only_a_404_prevents_an_attempt() {
        let prevented = |answer| refused(String::new(), answer, ErrorKind::NotFound).prevented;
        assert!(prevented(Err(Error::not_found("none"))));
        assert!(!prevented(Err(Error::new(ErrorKind::Unauthenticated, "forbidden"))));
        assert!(!prevented(Ok(Value::Null)));
    }
}
