//! `riad search`.

use super::object;
use crate::{
    cli::SearchArgs,
    client::Client,
    output::{Output, bold, clean},
};
use riad_api_types::search::{SearchRequest, SearchResults};
use riad_core::Result;

pub async fn run(args: &SearchArgs, client: &Client, out: &Output) -> Result<()> {
    let request = SearchRequest {
        query: args.query.join(" "),
        limit: Some(args.limit),
        filter: object(&args.filter),
    };
    let found = client.post("/v1/search", &request).await?;
    out.show(&found, |found: &SearchResults| {
        if found.data.is_empty() {
            return "no passage found".into();
        }
        found
            .data
            .iter()
            .map(|passage| {
                let heading = format!(
                    "{}  chunk {} of {}  {:.4}",
                    clean(&passage.title),
                    passage.chunk,
                    clean(&passage.document),
                    passage.score
                );
                format!("{}\n{}\n\n", bold(&heading), clean(&passage.text))
            })
            .collect()
    });
    Ok(())
}
