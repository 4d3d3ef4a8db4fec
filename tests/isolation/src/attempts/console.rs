//! B signs in to the console and asks for A's pages, with forms that have B's own token, none, or are sent without a session. Not here: signing in
//! (`room`).

use super::{
    Target,
    listing::served,
    objects::{absent, refused},
};
use crate::{
    attempt::{Attempt, Expected},
    client::Request,
    room::ConsoleSession,
};
use reqwest::Method;

pub fn attempts(target: &Target<'_>, session: &ConsoleSession) -> Vec<Attempt> {
    let mut attempts = own_pages(target, session);
    attempts.extend(pages_of_a(target, session));
    attempts.extend(forms_about_a(target, session));
    attempts.extend(questions(target, session));
    attempts.extend(operator_pages(target, session));
    attempts.extend(stolen_forms(target, session));
    attempts
}

/// B's own, with no word of A's.
fn own_pages(target: &Target<'_>, session: &ConsoleSession) -> Vec<Attempt> {
    let needle = target.needle;
    let pages = [
        ("GET /console", "/console".to_owned(), Expected::Anything),
        (
            "GET /console/playground",
            "/console/playground".to_owned(),
            Expected::Served,
        ),
        (
            "GET /console/documents",
            "/console/documents".to_owned(),
            Expected::Served,
        ),
        (
            "GET /console/documents/search",
            format!("/console/documents/search?q={needle}"),
            Expected::Served,
        ),
        ("GET /console/plugins", "/console/plugins".to_owned(), Expected::Served),
        (
            "GET /console/plugins/settings",
            "/console/plugins/settings".to_owned(),
            Expected::Served,
        ),
        (
            "GET /console/plugins/logs",
            "/console/plugins/logs".to_owned(),
            Expected::Served,
        ),
        (
            "GET /console/adapters",
            "/console/adapters".to_owned(),
            Expected::Served,
        ),
        (
            "GET /console/usage",
            "/console/usage?days=7&by=key".to_owned(),
            Expected::Served,
        ),
        (
            "GET /console/receipts",
            "/console/receipts".to_owned(),
            Expected::Served,
        ),
        // An admin's key only.
        ("GET /console/keys", "/console/keys".to_owned(), Expected::Anything),
    ];
    pages
        .into_iter()
        .map(|(endpoint, path, expected)| {
            Attempt::new(endpoint, "with A's things in the server", get(session, path), expected)
        })
        .collect()
}

fn pages_of_a(target: &Target<'_>, session: &ConsoleSession) -> Vec<Attempt> {
    let a = target.a;
    let document = format!("/console/documents/{}", a.document);
    let page = |endpoint, what, path: String| absent(endpoint, what, get(session, path));
    vec![
        page("GET /console/documents/{id}", "A's document", document.clone()),
        page(
            "GET /console/documents/{id}",
            "chunks of A's document",
            format!("{document}?chunk=0"),
        ),
        page(
            "GET /console/documents/{id}",
            "A's document, as A",
            format!("{document}?tenant={}", a.tenant),
        ),
        page(
            "GET /console/documents/{id}/original",
            "the original of A's document",
            format!("{document}/original"),
        ),
        page(
            "GET /console/documents/{id}/text",
            "the text of A's document",
            format!("{document}/text"),
        ),
        page(
            "GET /console/plugins/of/{name}",
            "A's plugin",
            format!("/console/plugins/of/{}", target.plugin),
        ),
        page(
            "GET /console/adapters/{alias}",
            "A's adapter",
            format!("/console/adapters/{}", target.alias),
        ),
        page(
            "GET /console/api/v1/documents/jobs/{id}/events",
            "A's job",
            format!("/console/api/v1/documents/jobs/{}/events", a.document_job),
        ),
        page(
            "GET /console/api/{path}",
            "A's file by what scripts may not ask",
            format!("/console/api/v1/files/{}/content", a.file),
        ),
    ]
}

fn forms_about_a(target: &Target<'_>, session: &ConsoleSession) -> Vec<Attempt> {
    let a = target.a;
    let adapter = format!("/console/adapters/{}", target.alias);
    let plugin = format!("/console/plugins/of/{}/{}", target.plugin, a.version);
    let key = format!("/console/keys/{}", a.key_id);
    let form = |path: String, fields: &[(&str, &str)]| post(session, path, fields);
    vec![
        absent(
            "POST /console/documents/{id}/delete",
            "A's document",
            form(format!("/console/documents/{}/delete", a.document), &[]),
        ),
        absent(
            "POST /console/adapters/{alias}/rollback",
            "A's adapter",
            form(format!("{adapter}/rollback"), &[("generation", &a.generation)]),
        ),
        absent(
            "POST /console/adapters/{alias}/pin",
            "A's adapter",
            form(format!("{adapter}/pin"), &[("pinned", "true")]),
        ),
        absent(
            "POST /console/adapters/{alias}/delete",
            "A's adapter",
            form(format!("{adapter}/delete"), &[]),
        ),
        refused(
            "POST /console/plugins/of/{name}/{version}/use",
            "A's plugin",
            form(format!("{plugin}/use"), &[]),
        ),
        refused(
            "POST /console/plugins/of/{name}/{version}/delete",
            "A's plugin",
            form(format!("{plugin}/delete"), &[]),
        ),
        refused(
            "POST /console/plugins/stages",
            "A's plugin",
            form("/console/plugins/stages".to_owned(), &[("prompting", &target.choice())]),
        ),
        refused(
            "POST /console/plugins/canary",
            "A's plugin",
            form(
                "/console/plugins/canary".to_owned(),
                &[("version", &target.choice()), ("percent", "10")],
            ),
        ),
        refused(
            "POST /console/keys/{id}/revoke",
            "A's key",
            form(format!("{key}/revoke"), &[]),
        ),
        refused(
            "POST /console/keys/{id}/rotate",
            "A's key",
            form(format!("{key}/rotate"), &[("hours", "1")]),
        ),
    ]
}

fn questions(target: &Target<'_>, session: &ConsoleSession) -> Vec<Attempt> {
    let (question, own) = (target.question(), target.own.model.as_str());
    let ask = |path: &str, model: &str| {
        let fields = [("question", question.as_str()), ("model", model)];
        post(session, path.to_owned(), &fields)
    };
    vec![
        served(
            "POST /console/playground",
            "a question about A's documents",
            ask("/console/playground", own),
        ),
        absent(
            "POST /console/playground",
            "A's adapter",
            ask("/console/playground", &target.a.model),
        ),
        served(
            "POST /console/playground/stream",
            "a question about A's documents, as a stream",
            ask("/console/playground/stream", own),
        ),
        Attempt::new(
            "POST /console/playground/stream",
            "A's adapter, as a stream",
            ask("/console/playground/stream", &target.a.model),
            Expected::Anything,
        ),
    ]
}

/// As if they did not exist.
fn operator_pages(target: &Target<'_>, session: &ConsoleSession) -> Vec<Attempt> {
    let tenant = format!("/console/tenants/{}", target.a.tenant);
    vec![
        absent(
            "GET /console/overview",
            "as a tenant",
            get(session, "/console/overview".to_owned()),
        ),
        absent(
            "GET /console/tenants",
            "as a tenant",
            get(session, format!("/console/tenants?q={}", target.a.tenant)),
        ),
        absent(
            "GET /console/tenants/{id}",
            "A, as a tenant",
            get(session, tenant.clone()),
        ),
        absent(
            "POST /console/tenants/{id}",
            "A's policy, as a tenant",
            post(session, tenant.clone(), &[("name", "Stolen"), ("policy", "{}")]),
        ),
        absent(
            "POST /console/tenants/{id}/delete",
            "A, as a tenant",
            post(session, format!("{tenant}/delete"), &[("confirm", &target.a.tenant)]),
        ),
        absent(
            "GET /console/fairness",
            "as a tenant",
            get(session, "/console/fairness".to_owned()),
        ),
        absent(
            "GET /console/audit",
            "A's changes, as a tenant",
            get(session, format!("/console/audit?tenant={}", target.a.tenant)),
        ),
        absent(
            "GET /console/rooms",
            "as a tenant",
            get(session, "/console/rooms".to_owned()),
        ),
        absent(
            "POST /console/tenants/{id}/keys",
            "a key for A, as a tenant",
            post(
                session,
                format!("{tenant}/keys"),
                &[("name", "stolen"), ("role", "admin")],
            ),
        ),
        absent(
            "GET /console/operator-api/{path}",
            "the ledger, as a tenant",
            get(session, "/console/operator-api/operator/v1/ledger/entries".to_owned()),
        ),
        absent(
            "GET /console/api/{path}",
            "the operator's API by what scripts may ask",
            get(session, format!("/console/api/operator/v1/tenants/{}", target.a.tenant)),
        ),
    ]
}

/// What a page of another site could make B's browser send, and what is sent without a session.
fn stolen_forms(target: &Target<'_>, session: &ConsoleSession) -> Vec<Attempt> {
    let stranger = ConsoleSession {
        cookie: String::new(),
        ..session.clone()
    };
    let guessed = ConsoleSession {
        cookie: "riad_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        ..session.clone()
    };
    let document = format!("/console/documents/{}", target.own.document);
    let wrong = ConsoleSession {
        token: target.own.tenant.clone(),
        ..session.clone()
    };
    vec![
        refused(
            "POST /console/documents/{id}/delete",
            "B's own document with another token",
            post(&wrong, format!("{document}/delete"), &[]),
        ),
        refused(
            "POST /console/api/v1/documents",
            "a document without the token",
            Request::new(Method::POST, "/console/api/v1/documents")
                .header("cookie", &session.cookie)
                .bytes("application/json", r#"{"title": "x", "text": "y"}"#),
        ),
        Attempt::new(
            "GET /console/documents/{id}",
            "A's document without a session",
            get(&stranger, format!("/console/documents/{}", target.a.document)),
            Expected::Anything,
        ),
        Attempt::new(
            "GET /console/documents/{id}",
            "A's document with a session that was guessed",
            get(&guessed, format!("/console/documents/{}", target.a.document)),
            Expected::Anything,
        ),
    ]
}

fn get(session: &ConsoleSession, path: String) -> Request {
    Request::get(path).header("cookie", &session.cookie)
}

fn post(session: &ConsoleSession, path: String, fields: &[(&str, &str)]) -> Request {
    let token = [("csrf", session.token.as_str())];
    Request::new(Method::POST, path)
        .header("cookie", &session.cookie)
        .form(&[&token, fields].concat())
}
