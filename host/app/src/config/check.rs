//! What must hold within and between values, beyond their types. Whether files and servers exist is checked by `riad doctor`.

use super::tree::{Auth, Cell, Config, Engine, Metering, Objects, Scheduler, Server, Telemetry};
use riad_core::{Error, Result};

/// More would accept tokens long after their end.
const LEEWAY_MAX_SECONDS: u64 = 300;

/// Every error names its key as the parameter.
pub(super) fn check(config: &Config) -> Result<()> {
    config.limits.check()?;
    server(&config.server)?;
    cell(&config.cell)?;
    auth(&config.auth)?;
    scheduler(&config.scheduler)?;
    metering(&config.metering)?;
    telemetry(&config.telemetry)?;
    objects(&config.objects)?;
    engine(&config.engine)
}

fn engine(engine: &Engine) -> Result<()> {
    match engine.id.as_deref() {
        Some(id) if id.is_empty() || id.contains(':') => {
            return wrong(
                "engine.id",
                "must not be empty or contain `:`, which stands before an adapter's alias",
            );
        }
        Some(_) | None => {}
    }
    let slowdown = engine.prefill_slowdown;
    if slowdown == 0.0 || (slowdown >= 1.0 && slowdown.is_finite()) {
        return Ok(());
    }
    wrong(
        "engine.prefill_slowdown",
        format!("is {slowdown}; it must be 0, for no limit, or 1 and above"),
    )
}

fn server(server: &Server) -> Result<()> {
    let port = server.listen.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(_))) {
        return wrong(
            "server.listen",
            format!(
                "is `{}`; it must be an address and a port, as in 127.0.0.1:8080",
                server.listen
            ),
        );
    }
    for origin in &server.cors_origins {
        // A browser sends neither a path nor a slash at the end.
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        let is_scheme = scheme
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
        if origin != "*" && (!is_scheme || host.is_empty() || host.contains(['/', ' ', '*', '"', ']'])) {
            return wrong(
                "server.cors_origins",
                format!("has `{origin}`; an origin is a scheme, a host and perhaps a port, as in https://chat.example"),
            );
        }
    }
    match (&server.tls_certificate, &server.tls_key) {
        (Some(_), None) => wrong(
            "server.tls_certificate",
            "is set without server.tls_key; set both or neither",
        ),
        (None, Some(_)) => wrong(
            "server.tls_key",
            "is set without server.tls_certificate; set both or neither",
        ),
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

fn cell(cell: &Cell) -> Result<()> {
    match (&cell.name, &cell.map) {
        (Some(_), None) => wrong("cell.name", "is set without cell.map; set both or neither"),
        (None, Some(_)) => wrong("cell.map", "is set without cell.name; set both or neither"),
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

fn auth(auth: &Auth) -> Result<()> {
    let texts = [
        ("auth.jwks", &auth.jwks),
        ("auth.issuer", &auth.issuer),
        ("auth.audience", &auth.audience),
    ];
    for (key, value) in texts {
        match (value.as_deref().map(str::trim), &auth.jwks) {
            (Some(""), _) => return wrong(key, "is empty; give it a value or leave it out"),
            // Whoever sets one believes that tokens are checked by it.
            (Some(_), None) => return wrong(key, "is set without auth.jwks, by which tokens are switched on"),
            // Without both, any token of the provider opens any tenant.
            (None, Some(_)) => return wrong("auth.jwks", format!("is set without {key}; set both")),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    if auth.jwks.is_none() && !auth.tenants.is_empty() {
        return wrong(
            "auth.tenants",
            "is set without auth.jwks, by which tokens are switched on",
        );
    }
    for (key, claim) in [
        ("auth.tenant_claim", &auth.tenant_claim),
        ("auth.role_claim", &auth.role_claim),
        ("auth.scopes_claim", &auth.scopes_claim),
    ] {
        if claim.trim().is_empty() {
            return wrong(key, "is empty; it must be a claim's name");
        }
    }
    match auth.leeway_seconds {
        0..=LEEWAY_MAX_SECONDS => Ok(()),
        seconds => wrong(
            "auth.leeway_seconds",
            format!("is {seconds}, the greatest value is {LEEWAY_MAX_SECONDS}"),
        ),
    }
}

fn scheduler(scheduler: &Scheduler) -> Result<()> {
    at_least_one("scheduler.target_first_token_ms", scheduler.target_first_token_ms)
}

fn metering(metering: &Metering) -> Result<()> {
    let currency = &metering.currency;
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return wrong(
            "metering.currency",
            format!("is `{currency}`; it must be three small letters, as in usd"),
        );
    }
    at_least_one("metering.accrual_ms", metering.accrual_ms)
}

fn telemetry(telemetry: &Telemetry) -> Result<()> {
    if !(0.0..=1.0).contains(&telemetry.sample_ratio) {
        return wrong(
            "telemetry.sample_ratio",
            format!("is {}, it must be between 0 and 1", telemetry.sample_ratio),
        );
    }
    if let Some(endpoint) = &telemetry.otlp_endpoint
        && !endpoint.starts_with("http://")
        && !endpoint.starts_with("https://")
    {
        return wrong(
            "telemetry.otlp_endpoint",
            format!("is `{endpoint}`; it must be a URL, as in http://127.0.0.1:4318"),
        );
    }
    match telemetry.max_tenants {
        0 => wrong("telemetry.max_tenants", "is 0, the least value that works is 1"),
        _ => Ok(()),
    }
}

fn objects(objects: &Objects) -> Result<()> {
    if objects.url.is_none() && objects.snapshot_interval_s > 0 {
        return wrong(
            "objects.snapshot_interval_s",
            "is set without objects.url, where snapshots are kept",
        );
    }
    at_least_one("objects.keep", objects.keep as u64)
}

fn at_least_one(key: &str, value: u64) -> Result<()> {
    match value {
        0 => wrong(key, "is 0, the least value that works is 1"),
        _ => Ok(()),
    }
}

fn wrong<T>(key: &str, why: impl std::fmt::Display) -> Result<T> {
    Err(Error::invalid(format!("{key} {why}")).with_param(key))
}
