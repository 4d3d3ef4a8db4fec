//! Style, scripts and the icon, in the binary. Each has a hash of its bytes in its address, so that browsers keep it for a year.

use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use riad_core::Digest;
use std::sync::LazyLock;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const YEAR: &str = "public, max-age=31536000, immutable";

struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    url: String,
}

macro_rules! assets {
    ($($name:literal: $media_type:expr),+ $(,)?) => {
        [$(Asset::new($name, $media_type, include_bytes!(concat!("../assets/", $name)))),+]
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    assets![
        "console.css": "text/css; charset=utf-8",
        "icon.svg": "image/svg+xml",
        "console.js": SCRIPT,
        "overview.js": SCRIPT,
        "playground.js": SCRIPT,
        "documents.js": SCRIPT,
        "plugins.js": SCRIPT,
        "adapters.js": SCRIPT,
    ]
    .into()
});

impl Asset {
    fn new(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        let hash: String = Digest::of(bytes).hex().chars().take(16).collect();
        Self {
            name,
            media_type,
            bytes,
            url: format!("/console/assets/{hash}/{name}"),
        }
    }
}

/// The address of an asset; empty for one that is not there, which the tests of this module find.
pub(crate) fn url(name: &str) -> &'static str {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    found.map_or("", |asset| asset.url.as_str())
}

pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/console/assets/{hash}/{name}", get(serve))
}

/// Another hash is another version, which this server does not have.
async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    let url = format!("/console/assets/{hash}/{name}");
    match ASSETS.iter().find(|asset| asset.url == url) {
        Some(asset) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type)),
                (header::CACHE_CONTROL, HeaderValue::from_static(YEAR)),
            ];
            (headers, asset.bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a page's HTML and all that it loads, at most.
    const PAGE_BYTES: usize = 150 << 10;

    #[test]
    fn all_assets_together_leave_room_for_a_page() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes < PAGE_BYTES / 2, "{bytes}");
    }

    #[test]
    fn scripts_write_text_only() {
        for asset in ASSETS.iter().filter(|asset| asset.media_type == SCRIPT) {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
            ] {
                assert!(!text.contains(word), "{} has {word}", asset.name);
            }
        }
    }
}
