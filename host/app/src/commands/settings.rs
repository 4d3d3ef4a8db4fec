//! `riad settings`.

use super::read_file;
use crate::{
    cli::{Member, SettingsCommand},
    client::Client,
    output::{Output, clean},
};
use riad_core::{Error, Result};
use serde_json::{Map, Value};

pub async fn run(command: SettingsCommand, client: &Client, out: &Output) -> Result<()> {
    let settings = match command {
        SettingsCommand::Show => client.get("/v1/settings").await?,
        SettingsCommand::Set { members } => set(client, members).await?,
        SettingsCommand::Put { file } => {
            let object: Map<String, Value> = serde_json::from_slice(&read_file(&file).await?)
                .map_err(|error| Error::invalid(format!("{} is not a JSON object: {error}", file.display())))?;
            client.put("/v1/settings", &object.into()).await?
        }
    };
    out.show(&settings, |settings| clean(&format!("{settings:#}")));
    Ok(())
}

/// Changes some members and leaves the others as they are; null removes a member.
pub async fn set(client: &Client, members: Vec<Member>) -> Result<Value> {
    let mut object = client
        .get("/v1/settings")
        .await?
        .as_object()
        .cloned()
        .unwrap_or_default();
    for member in members {
        if member.value.is_null() {
            object.remove(&member.key);
        } else {
            object.insert(member.key, member.value);
        }
    }
    client.put("/v1/settings", &object.into()).await
}
