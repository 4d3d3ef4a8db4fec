//! `riad models`.

use crate::{
    client::Client,
    output::{Output, data, text},
};
use riad_core::Result;

pub async fn run(client: &Client, out: &Output) -> Result<()> {
    let models = client.get("/v1/models").await?;
    out.show(&models, |models| {
        data(models).iter().map(|model| text(model, "id") + "\n").collect()
    });
    Ok(())
}
