//! `riad scale`.

use crate::{
    client::Client,
    output::{Output, clean, table},
};
use riad_core::Result;

pub async fn run(client: &Client, out: &Output) -> Result<()> {
    let scale = client.get("/operator/v1/scale").await?;
    out.show(&scale, |scale| {
        let members = scale.as_object().into_iter().flatten();
        let rows: Vec<_> = members
            .filter(|(name, _)| *name != "object")
            .map(|(name, value)| {
                let value = if value.is_null() {
                    "not measured yet".to_owned()
                } else {
                    value.to_string()
                };
                vec![clean(name), clean(&value)]
            })
            .collect::<Vec<Vec<String>>>();
        table::render(&["signal", "value"], &rows)
    });
    Ok(())
}
