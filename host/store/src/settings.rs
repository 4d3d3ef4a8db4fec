//! The `SettingsStore` port of a room: one JSON object in `room.db`. Not here: how large it may be (`services`).

use crate::{
    error::run_with_permit,
    room::RoomState,
    state::{get_state, set_state},
};
use async_trait::async_trait;
use riad_core::{Result, ports::SettingsStore};
use serde_json::{Map, Value};
use std::sync::Arc;

const KEY: &str = "settings";

pub(crate) struct RoomSettings(pub(crate) Arc<RoomState>);

#[async_trait]
impl SettingsStore for RoomSettings {
    async fn get(&self) -> Result<Map<String, Value>> {
        let read = self.0.query(|connection| match get_state(connection, KEY)? {
            Some(settings) => Ok(serde_json::from_str(&settings)?),
            None => Ok(Map::new()),
        });
        read.await
    }

    async fn put(&self, settings: &Map<String, Value>) -> Result<()> {
        let (room, settings) = (self.0.clone(), settings.clone());
        run_with_permit(&self.0.database.write_permits, move || {
            let settings = serde_json::to_string(&settings)?;
            room.database.write(|connection| set_state(connection, KEY, &settings))
        })
        .await
    }
}
