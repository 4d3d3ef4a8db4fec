//! Attempts of each tenant to reach the other's data with its own key.

use super::setup::{ALIAS, DemoTenant, Tenants};
use crate::{client::Client, commands::chat};
use riad_api_types::{
    chat::ChatCompletion,
    documents::DocumentWithText,
    plugins::PluginList,
    search::{SearchRequest, SearchResults},
};
use riad_core::{ErrorKind, Result};

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
    let acme = vec![
        read_document(&tenants.acme.client, &tenants.globex).await,
        search(&tenants.acme.client, "Meridian contract", &tenants.globex).await?,
    ];
    let globex = vec![
        read_document(&tenants.globex.client, &tenants.acme).await,
        ask(&tenants.globex.client, &model).await,
        list_plugins(&tenants.globex.client).await?,
    ];
    Ok((acme, globex))
}

async fn read_document(client: &Client, other: &DemoTenant) -> Attempt {
    let id = other.document_ids.first().map_or("", String::as_str);
    let answer = client.get::<DocumentWithText>(&format!("/v1/documents/{id}")).await;
    refused(
        format!("read {}'s document {id}", other.id),
        answer,
        ErrorKind::NotFound,
    )
}

async fn ask(client: &Client, model: &str) -> Attempt {
    let request = chat::request(model, "hello");
    let answer = client.post::<ChatCompletion>("/v1/chat/completions", &request).await;
    refused(format!("ask {model}"), answer, ErrorKind::ModelNotFound)
}

async fn search(client: &Client, query: &str, other: &DemoTenant) -> Result<Attempt> {
    let request = SearchRequest {
        query: query.to_owned(),
        limit: Some(10),
        ..SearchRequest::default()
    };
    let found: SearchResults = client.post("/v1/search", &request).await?.body;
    let theirs = found
        .data
        .iter()
        .filter(|passage| other.document_ids.contains(&passage.document))
        .count();
    Ok(Attempt {
        action: format!("search for \"{query}\""),
        response: format!("{theirs} of {} passages found are {}'s", found.data.len(), other.id),
        prevented: theirs == 0,
    })
}

async fn list_plugins(client: &Client) -> Result<Attempt> {
    let count = client.get::<PluginList>("/v1/plugins").await?.body.data.len();
    Ok(Attempt {
        action: "list plugins".into(),
        response: format!("the list has {count} plugins"),
        prevented: count == 0,
    })
}

/// A request that the server must refuse with status 404 and this kind.
fn refused<T>(action: String, answer: Result<T>, expected: ErrorKind) -> Attempt {
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
        assert!(!prevented(Ok(())));
    }
}
