//! The operator: an empty server at first, later one that is used.

use crate::{Options, SCRIPT, TENANT, browser::Browser};
use anyhow::{Result, ensure};

const PAGES: [&str; 10] = [
    "/console/overview",
    "/console/tenants",
    "/console/tenants/acme",
    "/console/fairness",
    "/console/engine",
    "/console/rooms",
    "/console/ledger",
    "/console/plans",
    "/console/audit",
    "/console/scale",
];

/// Makes the tenant; returns its first key.
pub async fn begin(browser: &Browser, options: &Options) -> Result<String> {
    browser.visit("stranger", "/console/sign-in").await?;
    browser.fill("#key", "riad_sk_made_up").await?;
    browser.submit("form.sign-in").await?;
    browser
        .wait("document.querySelector('.notice.error')?.textContent")
        .await?;
    browser.check("stranger with a wrong key").await?;
    browser.sign_in(&options.operator_key).await?;
    for page in PAGES.iter().filter(|page| !page.ends_with(TENANT)) {
        browser.visit("operator of an empty server", page).await?;
    }
    browser.go("/console/tenants").await?;
    browser.fill("#id", TENANT).await?;
    browser.fill("#name", SCRIPT).await?;
    browser.submit("form[action='/console/tenants'][method=post]").await?;
    let key = browser.new_key().await?;
    browser.check("operator with a new tenant").await?;
    browser.sign_out().await?;
    Ok(key)
}

pub async fn walk(browser: &Browser, options: &Options) -> Result<()> {
    browser.sign_in(&options.operator_key).await?;
    for page in PAGES {
        browser.visit("operator", page).await?;
    }
    // A number changes without a reload.
    browser.go("/console/overview").await?;
    browser
        .wait("document.getElementById('live').textContent === 'Live.'")
        .await?;
    browser
        .script(
            "document.querySelector('[data-live=requests]').textContent = 'old'",
            ().into(),
        )
        .await?;
    browser
        .wait("document.querySelector('[data-live=requests]').textContent !== 'old'")
        .await?;
    browser.go("/console/ledger").await?;
    browser.submit("form[action='/console/ledger']").await?;
    browser.wait("document.body.innerText.includes('Consistent')").await?;
    browser.check("operator after a check of the ledger").await?;
    browser.go("/console/plans").await?;
    browser.fill("#name", "gold").await?;
    browser.fill("#prompt_tokens", "500").await?;
    browser.submit("form[action='/console/plans']").await?;
    browser.wait("document.body.innerText.includes('gold')").await?;
    browser.check("operator with a plan").await?;
    browser.visit("operator", "/console/audit?action=plan").await?;
    browser.go("/console/playground").await?;
    let text = browser.wait("document.body.innerText").await?;
    ensure!(
        text.to_string().contains("no such page"),
        "the operator sees a tenant's page: {text}"
    );
    browser.go("/console").await?;
    browser.sign_out().await
}
