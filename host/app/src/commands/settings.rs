//! `riad settings`.

use super::read_file;
use crate::{
    cli::{Member, SettingsCommand},
    client::{Client, Response},
    output::{Output, clean},
};
use riad_core::{Error, Result};
use serde_json::{Map, Value};

/// Any members; only plugins know them.
type Settings = Map<String, Value>;

pub async fn run(command: SettingsCommand, client: &Client, out: &Output) -> Result<()> {
    let settings = match command {
        SettingsCommand::Show => client.get("/v1/settings").await?,
        SettingsCommand::Set { members } => set(client, members).await?,
        SettingsCommand::Put { file } => {
            let object: Settings = serde_json::from_slice(&read_file(&file).await?)
                .map_err(|error| Error::invalid(format!("{} is not a JSON object: {error}", file.display())))?;
            client.put("/v1/settings", &object).await?
        }
    };
    out.show(&settings, |settings: &Settings| {
        clean(&format!("{:#}", Value::Object(settings.clone())))
    });
    Ok(())
}

/// Changes some members and leaves the others as they are; null removes a member.
pub async fn set(client: &Client, members: Vec<Member>) -> Result<Response<Settings>> {
    let mut settings: Settings = client.get("/v1/settings").await?.body;
    for member in members {
        if member.value.is_null() {
            settings.remove(&member.key);
        } else {
            settings.insert(member.key, member.value);
        }
    }
    client.put("/v1/settings", &settings).await
}
