//! Asking a tenant of the demo one question, over HTTP.

use super::setup::DemoTenant;
use crate::commands::chat;
use riad_core::Result;
use serde_json::Value;
use std::time::{Duration, Instant};

pub struct DemoAnswer {
    pub text: String,
    /// Receipt, passages and citations.
    pub riad: Value,
    pub took: Duration,
}

pub async fn ask(tenant: &DemoTenant, question: &str) -> Result<DemoAnswer> {
    let started = Instant::now();
    let mut body = chat::request(&tenant.model, question);
    body.insert("temperature".into(), 0.into());
    let answer = chat::ask(&tenant.client, body, |_| ()).await?;
    Ok(DemoAnswer {
        text: answer.text,
        riad: answer.riad,
        took: started.elapsed(),
    })
}
