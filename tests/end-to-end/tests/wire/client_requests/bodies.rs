//! Bodies as they come over the wire.

use reqwest::Method;
use riad_end_to_end::{Chat, TestHost};

const PATH: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_before_json_is_ignored() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let body = format!("\u{FEFF}{}", Chat::new("Hello").with("max_tokens", 1).body(false));
    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let request = tenant.request(Method::POST, PATH).header("content-type", content_type);
        tenant.send(request.body(body.clone())).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_refused_with_the_encodings_name() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let send = async |encoding: &str| {
        let request = tenant.request(Method::POST, PATH).header("content-encoding", encoding);
        tenant
            .send(request.json(&Chat::new("Hello").with("max_tokens", 1).body(false)))
            .await
    };
    for encoding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"] {
        let refused = send(encoding).await.refused(415, "unsupported_content_encoding");
        let name = encoding.rsplit(' ').next().unwrap();
        assert!(refused.message().contains(name), "{}", refused.message());
        assert_eq!(refused.header("accept-encoding"), "identity");
    }
    for encoding in ["identity", ""] {
        send(encoding).await.ok();
    }
}
