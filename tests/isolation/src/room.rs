//! A tenant's room before the suite, how it is put back, and what B needs in its own. Not here: the canaries (`plant`).

use crate::{
    canary::Canaries,
    client::{Client, Request},
};
use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What the suite changes in a room, as it was.
pub struct Saved {
    pipeline: Value,
    settings: Value,
    adapters: BTreeSet<String>,
    model: String,
}

/// B's own room, in which it must be served.
pub struct Own {
    pub tenant: String,
    pub model: String,
    /// A document of B's.
    pub document: String,
    /// An upload of B's, which is pending.
    pub upload: String,
    /// The embedding model, if the server says its name.
    pub embedder: Option<String>,
    /// `None` where the console is not served.
    pub console: Option<ConsoleSession>,
}

/// A session of the console, with what its forms need.
#[derive(Clone)]
pub struct ConsoleSession {
    /// Name and value.
    pub cookie: String,
    pub token: String,
}

impl Saved {
    pub async fn read(client: &Client) -> Result<Self> {
        Ok(Self {
            pipeline: client.expect(200, Request::get("/v1/pipeline")).await?.json(),
            settings: client.expect(200, Request::get("/v1/settings")).await?.json(),
            adapters: aliases(client).await?,
            model: base_model(client).await?,
        })
    }

    pub async fn restore(&self, client: &Client, canaries: &Canaries) -> Result<()> {
        self.restore_prices(client, canaries).await?;
        client.expect(200, Request::put("/v1/settings", &self.settings)).await?;
        client.expect(200, Request::put("/v1/pipeline", &self.pipeline)).await?;
        for alias in aliases(client).await?.difference(&self.adapters) {
            client
                .expect(200, Request::delete(format!("/v1/adapters/{alias}")))
                .await?;
        }
        let files = client.expect(200, Request::get("/v1/files")).await?.json();
        let name = format!("{}.json", canaries.run);
        for file in list(&files).filter(|file| file.get("filename").is_some_and(|found| *found == name)) {
            let id = file.get("id").and_then(Value::as_str).unwrap_or_default();
            client.expect(200, Request::delete(format!("/v1/files/{id}"))).await?;
        }
        for document in planted_documents(client, canaries).await? {
            client
                .expect(200, Request::delete(format!("/v1/documents/{document}")))
                .await?;
        }
        Ok(())
    }

    /// The SQL store follows the setting `prices` when the plugin is asked: the planted rows go, what was there comes back.
    async fn restore_prices(&self, client: &Client, canaries: &Canaries) -> Result<()> {
        let plugins = client.expect(200, Request::get("/v1/plugins")).await?.json();
        let planted = list(&plugins).find(|plugin| {
            // Another component may bear its name in B's room: what serves the answer too is the price desk.
            plugin.get("name").is_some_and(|name| *name == canaries.plugin) && plugin.pointer("/stages/1").is_some()
        });
        let Some(version) = planted.and_then(|plugin| plugin.get("version")?.as_str()) else {
            return Ok(());
        };
        let choice = format!("{}@{version}", canaries.plugin);
        let pipeline = json!({"stages": {"prompting": choice}});
        client.expect(200, Request::put("/v1/pipeline", &pipeline)).await?;
        let prices = self
            .settings
            .get("prices")
            .cloned()
            .unwrap_or_else(|| Map::new().into());
        client
            .expect(200, Request::put("/v1/settings", &json!({"prices": prices})))
            .await?;
        client.expect(200, chat(&self.model, "Hello")).await?;
        Ok(())
    }
}

/// Makes B's room one in which requests are answered, and finds out who B is.
pub async fn settle(client: &Client, canaries: &Canaries, has_console: bool) -> Result<Own> {
    client
        .expect(200, Request::put("/v1/pipeline", &json!({"stages": {}})))
        .await?;
    let decoy = json!({
        "title": "The gate",
        "text": "The gate of our own vault is painted green. Everybody may know it.",
        "metadata": {"isolation": canaries.run},
    });
    let added = client.expect(201, Request::post("/v1/documents", &decoy)).await?.json();
    let upload = json!({"filename": "gate.txt", "purpose": "user_data", "bytes": 9, "mime_type": "text/plain"});
    let upload = client.expect(200, Request::post("/v1/uploads", &upload)).await?.json();
    let model = base_model(client).await?;
    let answer = client
        .expect(200, chat(&model, "What color is the gate?"))
        .await?
        .json();
    let receipt = answer.pointer("/riad/receipt/tenant").and_then(Value::as_str);
    Ok(Own {
        tenant: receipt
            .context("the answer has no receipt that names the tenant")?
            .to_owned(),
        document: added.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        upload: upload.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        embedder: embedder(client).await?,
        console: match has_console {
            true => Some(sign_in(client).await?),
            false => None,
        },
        model,
    })
}

async fn sign_in(client: &Client) -> Result<ConsoleSession> {
    let form = Request::new(Method::POST, "/console/sign-in").form(&[("key", client.key())]);
    let answer = client.expect(303, form).await?;
    let cookie = answer
        .headers
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next())
        .context("signing in to the console sets no cookie")?;
    let page = Request::get("/console/playground").header("cookie", cookie);
    let page = client.expect(200, page).await?;
    let field = page.body.split_once("name=\"csrf\" value=\"");
    let token = field.and_then(|(_, rest)| rest.split('"').next());
    Ok(ConsoleSession {
        cookie: cookie.to_owned(),
        token: token
            .context("a page of the console has no token for forms")?
            .to_owned(),
    })
}

/// The name of the model without any adapter.
pub async fn base_model(client: &Client) -> Result<String> {
    let models = client.expect(200, Request::get("/v1/models")).await?.json();
    let base = list(&models)
        .filter_map(|model| model.get("id")?.as_str())
        .find(|id| !id.contains(':'));
    base.map(str::to_owned).context("the server offers no base model")
}

pub fn chat(model: &str, question: &str) -> Request {
    Request::post("/v1/chat/completions", &chat_body(model, question))
}

pub fn chat_body(model: &str, question: &str) -> Value {
    let messages = json!([{"role": "user", "content": question}]);
    json!({"model": model, "messages": messages, "temperature": 0, "max_tokens": 32})
}

/// No endpoint lists it; the error about another name says it: `…; this server has "static-256"`.
async fn embedder(client: &Client) -> Result<Option<String>> {
    let request = Request::post("/v1/embeddings", &json!({"model": "?", "input": "a"}));
    let error = client.expect(404, request).await?.json();
    let message = error
        .pointer("/error/message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Ok(message
        .rsplit('"')
        .nth(1)
        .filter(|name| *name != "?")
        .map(str::to_owned))
}

async fn aliases(client: &Client) -> Result<BTreeSet<String>> {
    let adapters = client.expect(200, Request::get("/v1/adapters")).await?.json();
    Ok(list(&adapters)
        .filter_map(|adapter| Some(adapter.get("alias")?.as_str()?.to_owned()))
        .collect())
}

/// Everything that this run has put there, over all pages.
async fn planted_documents(client: &Client, canaries: &Canaries) -> Result<Vec<String>> {
    let mut planted = Vec::new();
    let mut path = "/v1/documents?limit=100".to_owned();
    loop {
        let page = client.expect(200, Request::get(path)).await?.json();
        let mut last = None;
        for document in list(&page) {
            let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
            if document
                .pointer("/metadata/isolation")
                .is_some_and(|run| *run == canaries.run)
            {
                planted.push(id.to_owned());
            }
            last = Some(id.to_owned());
        }
        match (page.get("has_more").and_then(Value::as_bool), last) {
            (Some(true), Some(last)) => path = format!("/v1/documents?limit=100&after={last}"),
            _ => return Ok(planted),
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.get("data").and_then(Value::as_array).into_iter().flatten()
}
