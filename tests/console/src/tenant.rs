//! A tenant's keys: an admin who does everything, a user, and one who only reads.

use crate::{Options, SCRIPT, browser::Browser, plugins, untrusted};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{env, fs, process};

const PAGES: [&str; 12] = [
    "/console/playground",
    "/console/documents",
    "/console/documents/search?q=warranty",
    "/console/plugins",
    "/console/plugins/settings",
    "/console/plugins/logs",
    "/console/adapters",
    "/console/usage",
    "/console/usage?days=7&by=key",
    "/console/keys",
    "/console/receipts",
    "/console/receipts/verify",
];
/// The admin's alone.
const KEYS: &str = "/console/keys";
const TEXT: &str = "The warranty of the Kestrel drill is 37 months. It begins on the day of delivery.\n";

pub async fn walk(browser: &Browser, options: &Options, key: &str) -> Result<()> {
    browser.sign_in(key).await?;
    for page in PAGES {
        browser.visit("admin of an empty room", page).await?;
    }
    add_documents(browser).await?;
    ask(browser).await?;
    untrusted::walk(browser, options).await?;
    deploy(browser, options).await?;
    let user = make_key(browser, "user").await?;
    let reader = make_key(browser, "read-only").await?;
    for page in PAGES {
        browser.visit("admin", page).await?;
    }
    browser.sign_out().await?;
    browser.sign_in(&user).await?;
    visit_all(browser, "user").await?;
    browser.sign_out().await?;
    browser.sign_in(&reader).await?;
    visit_all(browser, "read-only").await?;
    for page in PAGES.iter().filter(|page| **page != KEYS) {
        browser.go(page).await?;
        let forms = browser
            .script(
                "return document.querySelectorAll('main form[method=post]').length",
                Value::Null,
            )
            .await?;
        // A receipt is verified by a form, and changes nothing.
        ensure!(
            forms == 0 || page.ends_with("/verify"),
            "{page} has {forms} forms for a key that only reads"
        );
    }
    revoke(browser, key, &reader).await
}

async fn visit_all(browser: &Browser, who: &str) -> Result<()> {
    for page in PAGES.iter().filter(|page| **page != KEYS) {
        browser.visit(who, page).await?;
    }
    browser.go(KEYS).await?;
    browser.wait("document.body.innerText.includes('role')").await?;
    browser.check(&format!("{who} who may not see it")).await?;
    browser.go("/console").await
}

/// A file with progress, and a text whose title is code.
async fn add_documents(browser: &Browser) -> Result<()> {
    let file = env::temp_dir().join(format!("kestrel-{}.txt", process::id()));
    fs::write(&file, TEXT)?;
    browser.go("/console/documents").await?;
    browser.wait("!document.getElementById('drop').hidden").await?;
    browser.choose("#files", &file).await?;
    browser
        .wait("document.querySelector('#uploads .badge.good')?.textContent")
        .await?;
    browser.check("admin after an upload").await?;
    fs::remove_file(&file)?;
    browser.go("/console/documents").await?;
    let fields = json!({"title": SCRIPT, "text": format!("{SCRIPT}\n{TEXT}")});
    browser
        .script(
            "for (const [id, text] of Object.entries(arguments[0])) document.getElementById(id).value = text;
             document.getElementById('text').closest('details').open = true",
            fields,
        )
        .await?;
    browser.submit("form[action='/console/documents'][method=post]").await?;
    browser.wait("document.querySelectorAll('.chunk').length > 0").await?;
    browser.check("admin with a document").await
}

async fn ask(browser: &Browser) -> Result<()> {
    browser.go("/console/playground").await?;
    browser
        .fill("#question", "How long is the warranty of the Kestrel drill?")
        .await?;
    browser.click("#playground button[type=submit]").await?;
    browser.wait("document.querySelector('#facts')").await?;
    let answer = browser
        .wait("document.querySelector('.turn[data-role=assistant] .text').textContent")
        .await?;
    ensure!(answer.to_string().contains("37 months"), "the answer is {answer}");
    let details = browser
        .wait("document.querySelector('#details').innerText")
        .await?
        .to_string();
    for part in ["Passages", "grounded", "Generation", "Receipt", "verified", "Prompt"] {
        ensure!(details.contains(part), "beside the answer is no {part}: {details}");
    }
    let marked = browser
        .wait("document.querySelector('#details mark')?.textContent")
        .await?;
    ensure!(
        marked.to_string().contains("37 months"),
        "the cited sentence is {marked}"
    );
    browser.check("admin with an answer").await
}

/// Two versions, and back to the first.
async fn deploy(browser: &Browser, options: &Options) -> Result<()> {
    let uses = "[...document.querySelectorAll('form[action$=\"/use\"] button')]";
    let roll_back = format!("{uses}.find((button) => button.textContent === 'Roll back to this')");
    for component in &options.components {
        plugins::upload(browser, "desk", component).await?;
        browser
            .press(&format!("{uses}.find((button) => button.textContent === 'Use')"))
            .await?;
        browser.check("admin with a plugin").await?;
    }
    browser.press(&roll_back).await?;
    let left = browser
        .script(&format!("return Boolean({roll_back})"), Value::Null)
        .await?;
    ensure!(left == false, "the plugin was not rolled back");
    browser.visit("admin", "/console/plugins/of/desk").await
}

async fn make_key(browser: &Browser, role: &str) -> Result<String> {
    browser.go(KEYS).await?;
    browser.fill("#name", &format!("for a {role}")).await?;
    browser
        .script("document.getElementById('role').value = arguments[0]", role.into())
        .await?;
    browser.submit("form[action='/console/keys'][method=post]").await?;
    let key = browser.new_key().await?;
    browser.check("admin with a new key").await?;
    browser.go(KEYS).await?;
    let html = browser
        .script("return document.documentElement.outerHTML", Value::Null)
        .await?;
    ensure!(!html.to_string().contains(&key), "a key is shown a second time");
    Ok(key)
}

/// The session of a key ends with it.
async fn revoke(browser: &Browser, admin: &str, reader: &str) -> Result<()> {
    let session = browser.cookie().await?;
    browser.forget_cookie().await?;
    browser.sign_in(admin).await?;
    browser.go(KEYS).await?;
    let row = "[...document.querySelectorAll('tr')].find((row) => row.innerText.includes('for a read-only'))";
    browser
        .press(&format!("{row}?.querySelector('form[action$=\"/revoke\"] button')"))
        .await?;
    let gone = browser.script(&format!("return !({row})"), Value::Null).await?;
    ensure!(gone == true, "a revoked key is still listed");
    browser.sign_out().await?;
    browser.set_cookie(&session).await?;
    browser.go("/console/documents").await?;
    ensure!(
        browser.path().await? == "/console/sign-in",
        "a session outlives its key"
    );
    browser.fill("#key", reader).await?;
    browser.submit("form.sign-in").await?;
    ensure!(
        browser.path().await? == "/console/sign-in",
        "a revoked key opens a session"
    );
    Ok(())
}
