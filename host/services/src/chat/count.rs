//! Counts a prompt's tokens without running a pipeline or the model.

use super::{ValidRequest, prepare};
use crate::{models, prompts, shared::Shared};
use riad_core::{Result, TenantPass, chat::Role};
use std::sync::Arc;

pub(super) async fn count(shared: &Arc<Shared>, pass: &TenantPass, request: ValidRequest) -> Result<u32> {
    let meter = prepare::admit(shared, pass).await?;
    let counted = async {
        let room = shared.rooms.open(pass).await?;
        // It counts the same for every adapter, but one that is not there has no prompts.
        models::pin(&room, request.model()).await?;
        let mut messages = request.asked().to_vec();
        // As the standard pipeline gives them on: a conversation begins with the user, and the question stands alone.
        let mut has_begun = false;
        messages.retain(|message| {
            has_begun |= message.role == Role::User;
            has_begun || message.role == Role::System
        });
        if let Some(question) = messages.last_mut() {
            question.content = question.content.trim().to_owned();
        }
        messages.extend_from_slice(request.after());
        if let Some(tools) = request.tools().with_plugins(Vec::new())? {
            tools.offer(&mut messages);
        }
        prompts::check_prompt(shared.engine.as_ref(), &messages)?;
        prompts::encode(shared, pass, meter.handle(), move |engine| engine.encode(&messages)).await
    };
    let encoded = meter.record_result(counted.await)?;
    meter.end_free();
    Ok(encoded.count())
}
