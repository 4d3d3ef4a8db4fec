//! Code that a model answers and a plugin logs: it is shown, and it does not run.

use crate::{Options, SCRIPT, browser::Browser, plugins};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;

/// How [`SCRIPT`] begins, as a reader sees it.
const SEEN: &str = "<script>window.hacked";
/// Places of an answer that [`ANSWER`] fills.
const PLACES: u64 = 30;
/// From now on the playground gets an answer of which each part is the text.
const ANSWER: &str = "
    const text = arguments[0];
    const fact = { label: text, value: text };
    const passage = (grounded, index) => ({ number: index + 1, title: text, place: text, grounded,
        link: index === 0 ? '/console/documents' : null, parts: [{ text, quoted: true }, { text, quoted: false }] });
    const end = { finish: text, total: text, calls: [fact], facts: [fact], plugins: [fact],
        times: [{ label: text, value: text, permille: 500 }], passages: [true, false, null].map(passage),
        prompt: [{ role: text, content: text }], logs: [{ level: 'info', message: text }],
        snippets: [{ name: text, code: text }], receipt: { number: text, request: text, fault: text, jws: text } };
    const events = [['reasoning', { text }], ['text', { text }], ['call', { text, begins: true }], ['end', end], ['failure', { message: text }]];
    const body = events.map(([name, data]) => `event: ${name}\\ndata: ${JSON.stringify(data)}\\n\\n`).join('');
    window.fetch = async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } })";
/// Asks as the playground does, from another page.
const ASK: &str = "
    const fields = { csrf: document.querySelector('[name=csrf]').value, question: 'Who are you?', model: arguments[0] };
    return fetch('/console/playground/stream', { method: 'POST', body: new URLSearchParams(fields) }).then((response) => response.text())";

/// As an admin of a room that the standard pipeline serves, which it does afterwards, too.
pub async fn walk(browser: &Browser, options: &Options) -> Result<()> {
    call_of_a_tool(browser).await?;
    whole_answer(browser).await?;
    match options.components.first() {
        Some(price_desk) => log(browser, price_desk).await,
        None => Ok(()),
    }
}

/// The model's own: the grammar leaves it no other argument.
async fn call_of_a_tool(browser: &Browser) -> Result<()> {
    let parameters = json!({
        "type": "object",
        "properties": {"code": {"enum": [SCRIPT]}},
        "required": ["code"],
        "additionalProperties": false,
    });
    let tools = json!([{"type": "function", "function": {"name": "look_up", "parameters": parameters}}]);
    browser.go("/console/playground").await?;
    let fields = json!({
        "question": "What is the code?",
        "tools": tools.to_string(),
        "tool_choice": "required",
        "temperature": "0",
        "max_tokens": "200",
    });
    browser
        .script(
            "for (const [id, text] of Object.entries(arguments[0])) document.getElementById(id).value = text",
            fields,
        )
        .await?;
    browser.click("#playground button[type=submit]").await?;
    browser.wait("document.querySelector('#facts')").await?;
    for place in [".turn[data-role=assistant] .call", "#facts .facts"] {
        wait_for(browser, place).await?;
    }
    browser.check_inert("a call of a tool").await
}

/// What the page's script makes of an answer, whatever is in it.
async fn whole_answer(browser: &Browser) -> Result<()> {
    browser.go("/console/playground").await?;
    browser.script(ANSWER, SCRIPT.into()).await?;
    browser.fill("#question", SCRIPT).await?;
    browser.click("#playground button[type=submit]").await?;
    browser.wait("document.querySelector('#facts')").await?;
    wait_for(browser, "#failure").await?;
    let seen = browser
        .script(
            "return document.querySelector('.playground').textContent.split(arguments[0]).length - 1",
            SEEN.into(),
        )
        .await?;
    ensure!(
        seen.as_u64().is_some_and(|seen| seen >= PLACES),
        "of {PLACES} parts of an answer, {seen} are shown"
    );
    browser.check_inert("an answer of code").await
}

/// A setting that the plugin cannot read is what it fails with, which is logged.
async fn log(browser: &Browser, component: &Path) -> Result<()> {
    let model = browser
        .script("return document.getElementById('model').value", Value::Null)
        .await?;
    let form = |end: &str| {
        format!("document.querySelector(\"form[action^='/console/plugins/of/prices/'][action$='/{end}'] button\")")
    };
    plugins::upload(browser, "prices", component).await?;
    browser.press(&form("use")).await?;
    replace_settings(browser, &json!({"prices": SCRIPT})).await?;
    browser.go("/console/plugins/logs").await?;
    browser
        .wait("document.getElementById('live').textContent === 'Live.'")
        .await?;
    let failed = browser.script(ASK, model).await?;
    let failed = failed.as_str().context("no answer")?;
    ensure!(failed.contains("event: failure"), "the plugin did not fail: {failed}");
    wait_for(browser, "#log").await?;
    browser.check("admin with a live line of the log").await?;
    browser.visit("admin with a log", "/console/plugins/logs").await?;
    wait_for(browser, "#log").await?;

    browser.go("/console/playground").await?;
    browser.fill("#question", "Who are you?").await?;
    browser.click("#playground button[type=submit]").await?;
    wait_for(browser, "#failure").await?;
    browser.check_inert("a failed answer").await?;

    replace_settings(browser, &json!({})).await?;
    browser.go("/console/plugins").await?;
    browser
        .script(
            "for (const stage of ['prompting', 'postprocessing']) document.getElementById(`stage-${stage}`).value = 'standard'",
            Value::Null,
        )
        .await?;
    browser.submit("form[action='/console/plugins/stages']").await?;
    browser.press(&form("delete")).await
}

async fn replace_settings(browser: &Browser, settings: &Value) -> Result<()> {
    browser.go("/console/plugins/settings").await?;
    browser.fill("#raw", &settings.to_string()).await?;
    browser.submit("form[action='/console/plugins/settings/raw']").await
}

/// Until a reader sees it there.
async fn wait_for(browser: &Browser, selector: &str) -> Result<()> {
    browser
        .wait(&format!(
            "[...document.querySelectorAll('{selector}')].some((place) => place.textContent.includes('{SEEN}'))"
        ))
        .await?;
    Ok(())
}
