//! `riad models`.

use crate::{
    client::Client,
    output::{Output, clean},
};
use riad_api_types::models::ModelList;
use riad_core::Result;

pub async fn run(client: &Client, out: &Output) -> Result<()> {
    let models = client.get("/v1/models").await?;
    out.show(&models, |models: &ModelList| {
        models.data.iter().map(|model| clean(&model.id) + "\n").collect()
    });
    Ok(())
}
