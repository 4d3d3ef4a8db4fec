//! Creates the demo's tenants over HTTP, as an operator and two tenants would.

use super::{documents, questions};
use crate::{
    cli::Member,
    client::Client,
    commands::{adapter, document, plugin, settings},
    config,
    output::progress,
};
use bytes::Bytes;
use riad_api_types::{
    documents::TextFormat,
    tenants::{CreatedTenant, NewTenant, PolicyPatch},
};
use riad_core::{AdapterAlias, PluginName, Result, Secret, plugin::Stage};
use serde_json::{Map, Value};

const PRICE_DESK: &[u8] = include_bytes!("../../../../plugins/price-desk/price-desk.wasm");

pub const ALIAS: &str = "support";
pub const PLUGIN: &str = "price-desk";

/// The stages that Acme's plugin serves.
pub const STAGES: [Stage; 2] = [Stage::Prompting, Stage::Postprocessing];

pub struct DemoTenant {
    pub id: &'static str,
    pub name: &'static str,
    pub key: String,
    pub client: Client,
    /// The model that this tenant uses.
    pub model: String,
    pub document_ids: Vec<String>,
}

pub struct Tenants {
    pub acme: DemoTenant,
    pub globex: DemoTenant,
    /// The generation that Acme's alias points to, by digest.
    pub generation: String,
    /// The version of Acme's plugin, by digest.
    pub plugin: String,
}

/// Creates both tenants, adds their documents, and gives Acme an adapter and a plugin.
pub async fn create(url: &str, operator_key: Secret<String>) -> Result<Tenants> {
    let operator = Client::new(url, operator_key)?;
    let mut acme = create_tenant(&operator, "acme", "Acme Tools").await?;
    let mut globex = create_tenant(&operator, "globex", "Globex Logistics").await?;

    let bar = progress::count(
        (documents::ACME.len() + documents::GLOBEX.len()) as u64,
        "adding documents",
    );
    for (tenant, texts) in [(&mut acme, documents::ACME), (&mut globex, documents::GLOBEX)] {
        for content in texts {
            let title = document::heading(content).unwrap_or(tenant.name);
            let added = document::send(&tenant.client, title, content, TextFormat::Markdown, Map::new()).await?;
            tenant.document_ids.push(added.body.id);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();

    let alias: AdapterAlias = ALIAS.parse()?;
    let folder = config::shipped_folder()?.join("chat/adapter-acme");
    let generation = adapter::put(&acme.client, &alias, &folder).await?.body.generation;
    acme.model = format!("{}:{ALIAS}", acme.model);

    let name: PluginName = PLUGIN.parse()?;
    let deployed = plugin::deploy(&acme.client, &name, Bytes::from_static(PRICE_DESK), &STAGES, None).await?;
    let prices: Map<String, Value> = questions::PRICES
        .iter()
        .map(|(item, price)| ((*item).to_owned(), Value::from(*price)))
        .collect();
    let prices = Member {
        key: "prices".into(),
        value: prices.into(),
    };
    settings::set(&acme.client, vec![prices]).await?;
    Ok(Tenants {
        acme,
        globex,
        generation,
        plugin: deployed.body.version,
    })
}

async fn create_tenant(operator: &Client, id: &'static str, name: &'static str) -> Result<DemoTenant> {
    let tenant = NewTenant {
        id: id.parse()?,
        name: name.to_owned(),
        policy: PolicyPatch::default(),
    };
    let made: CreatedTenant = operator.post("/operator/v1/tenants", &tenant).await?.body;
    let key = made.key;
    let client = Client::new(operator.url(), Secret::new(key.clone()))?;
    Ok(DemoTenant {
        id,
        name,
        key,
        model: crate::commands::chat::base_model(&client).await?,
        client,
        document_ids: Vec::new(),
    })
}
