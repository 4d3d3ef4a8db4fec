//! `riad search`.

use super::object;
use crate::{
    cli::SearchArgs,
    client::Client,
    output::{Output, bold, data, number, text},
};
use riad_core::Result;
use serde_json::{Value, json};

pub async fn run(args: &SearchArgs, client: &Client, out: &Output) -> Result<()> {
    let body = json!({"query": args.query.join(" "), "limit": args.limit, "filter": object(&args.filter)});
    let found = client.post("/v1/search", &body).await?;
    out.show(&found, |found| {
        if data(found).is_empty() {
            return "no passage found".into();
        }
        data(found)
            .iter()
            .map(|passage| {
                let heading = format!(
                    "{}  chunk {} of {}  {:.4}",
                    text(passage, "title"),
                    number(passage, "chunk"),
                    text(passage, "document"),
                    passage.get("score").and_then(Value::as_f64).unwrap_or_default()
                );
                format!("{}\n{}\n\n", bold(&heading), text(passage, "text"))
            })
            .collect()
    });
    Ok(())
}
