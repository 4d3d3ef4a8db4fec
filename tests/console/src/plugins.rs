//! Components, as the page of plugins takes them.

use crate::browser::Browser;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// Until its version can be used.
pub async fn upload(browser: &Browser, name: &str, component: &Path) -> Result<()> {
    browser.go("/console/plugins").await?;
    browser.wait("!document.getElementById('plugin-upload').hidden").await?;
    let before = browser
        .script(
            "return document.querySelectorAll('form[action$=\"/use\"]').length",
            Value::Null,
        )
        .await?;
    let before = before.as_u64().context("a number")?;
    browser.choose("#plugin-file", component).await?;
    browser.fill("#plugin-name", name).await?;
    browser.click("#plugin-upload button").await?;
    browser
        .wait(&format!(
            "document.querySelectorAll('form[action$=\"/use\"]').length > {before}"
        ))
        .await?;
    Ok(())
}
