//! The playground: a chat with all that is known of its answer beside it. The same use case as `/v1/chat/completions`, with the session's pass.

mod answer;
mod marks;
mod request;
mod snippets;
mod stream;
mod view;

pub(crate) use answer::parts;

use crate::{
    error::{ForScript, PageResult},
    form::CsrfForm,
    layout::Page,
    session::TenantSession,
    state::ConsoleState,
};
use answer::Answer;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::Markup;
use request::{PlaygroundForm, Turn};
use riad_api::pages;
use riad_core::{
    Error, Result, TenantPass,
    grants::{Access, Scope},
};
use riad_services::{Services, models::ModelEntry};
use view::Playground;

/// The address in snippets if the client says none.
const SOME_HOST: &str = "http://localhost:8080";

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/playground", get(show).post(ask))
        .route("/console/playground/stream", post(stream_answer))
}

async fn show(State(state): State<ConsoleState>, session: TenantSession) -> PageResult<Markup> {
    session.pass.require(Scope::Chat, Access::Read)?;
    let form = PlaygroundForm::default();
    render(&state.services, &session, &form, &[], None, None).await
}

/// For browsers without scripts: the page with the answer, when that is complete.
async fn ask(
    State(state): State<ConsoleState>,
    session: TenantSession,
    headers: HeaderMap,
    CsrfForm(form): CsrfForm<PlaygroundForm>,
) -> PageResult<Response> {
    let answered = async {
        let mut turns = form.turns()?;
        let answer = stream::collect(&state.services, &session.pass, &form, &base(&headers)).await?;
        turns.push(turn("user", &form.question));
        turns.push(turn("assistant", &answer.text));
        Ok::<_, Error>((turns, answer))
    };
    match answered.await {
        Ok((turns, answer)) => {
            let page = render(&state.services, &session, &form, &turns, Some(&answer), None).await?;
            Ok(page.into_response())
        }
        Err(error) => {
            let turns = form.turns().unwrap_or_default();
            let page = render(&state.services, &session, &form, &turns, None, Some(&error)).await?;
            Ok((pages::status(error.kind()), page).into_response())
        }
    }
}

async fn stream_answer(
    State(state): State<ConsoleState>,
    ForScript(session): ForScript<TenantSession>,
    headers: HeaderMap,
    ForScript(CsrfForm(form)): ForScript<CsrfForm<PlaygroundForm>>,
) -> Response {
    let events = stream::events(state.services.clone(), session.pass.clone(), form, base(&headers));
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], events).into_response()
}

fn turn(role: &str, content: &str) -> Turn {
    Turn {
        role: role.to_owned(),
        content: content.to_owned(),
    }
}

async fn render(
    services: &Services,
    session: &TenantSession,
    form: &PlaygroundForm,
    turns: &[Turn],
    answer: Option<&Answer>,
    error: Option<&Error>,
) -> PageResult<Markup> {
    let pass = &session.pass;
    let models = chat_models(services, pass).await?;
    let view = Playground {
        models: &models,
        form,
        turns,
        answer,
        error,
        may_chat: pass.grants().allow(Scope::Chat, Access::Write),
        has_documents: has_documents(services, pass).await?,
        csrf: session.csrf_field(),
    };
    Ok(session.page(Page::Playground, view::page(&view)))
}

/// The embedding model writes nothing.
async fn chat_models(services: &Services, pass: &TenantPass) -> Result<Vec<ModelEntry>> {
    let mut models = services.models().list(pass).await?;
    models.retain(|model| model.context_tokens.is_some());
    Ok(models)
}

/// A key that may not see documents is not told to add one.
async fn has_documents(services: &Services, pass: &TenantPass) -> Result<bool> {
    match pass.grants().allow(Scope::Documents, Access::Read) {
        true => Ok(!services.documents().list(pass, 1, None).await?.documents.is_empty()),
        false => Ok(true),
    }
}

/// Under which address the client sees the server: browsers send it with each form. It is only shown to the one who sent it.
fn base(headers: &HeaderMap) -> String {
    let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
    let is_plain = |text: &&str| {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-[]".contains(&byte);
        text.len() < 256 && text.bytes().all(is_safe)
    };
    if let Some(origin) = text(header::ORIGIN)
        .filter(is_plain)
        .filter(|origin| origin.starts_with("http"))
    {
        return origin.to_owned();
    }
    match text(header::HOST).filter(is_plain) {
        Some(host) => format!("http://{host}"),
        None => SOME_HOST.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_browsers_or_the_hosts() {
        let mut headers = HeaderMap::new();
        assert_eq!(base(&headers), SOME_HOST);
        headers.insert(header::HOST, HeaderValue::from_static("riad.example:8080"));
        assert_eq!(base(&headers), "http://riad.example:8080");
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://riad.example"));
        assert_eq!(base(&headers), "https://riad.example");
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://x';id"));
        assert_eq!(base(&headers), "http://riad.example:8080");
    }
}
