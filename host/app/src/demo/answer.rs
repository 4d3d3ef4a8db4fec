//! Asking a tenant of the demo one question, over HTTP.

use super::setup::DemoTenant;
use crate::commands::chat;
use riad_api_types::chat::{ChatCompletionRequest, Riad};
use riad_core::Result;
use std::time::{Duration, Instant};

pub struct DemoAnswer {
    pub text: String,
    /// Receipt, passages and citations.
    pub riad: Riad,
    pub took: Duration,
}

pub async fn ask(tenant: &DemoTenant, question: &str) -> Result<DemoAnswer> {
    let started = Instant::now();
    let request = ChatCompletionRequest {
        temperature: Some(0.0),
        ..chat::request(&tenant.model, question)
    };
    let answer = chat::ask(&tenant.client, request, |_| ()).await?;
    Ok(DemoAnswer {
        text: answer.text,
        riad: answer.riad,
        took: started.elapsed(),
    })
}
