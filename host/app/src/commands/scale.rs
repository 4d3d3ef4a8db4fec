//! `riad scale`.

use crate::{
    client::Client,
    output::{Output, table},
};
use riad_api_types::scale::Scale;
use riad_core::Result;

pub async fn run(client: &Client, out: &Output) -> Result<()> {
    let scale = client.get("/operator/v1/scale").await?;
    out.show(&scale, |scale: &Scale| {
        // Every member but the object's type is a number, a truth value, or null.
        let rows: Vec<_> = super::members(scale)
            .into_iter()
            .filter(|(_, value)| !value.is_string())
            .map(|(name, value)| {
                let shown = match value.is_null() {
                    true => "not measured yet".to_owned(),
                    false => value.to_string(),
                };
                vec![name, shown]
            })
            .collect();
        table::render(&["signal", "value"], &rows)
    });
    Ok(())
}
