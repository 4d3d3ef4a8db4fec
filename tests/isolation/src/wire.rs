//! A request written byte for byte: HTTP clients tidy paths (`/a/../b`) before the server sees them. Not here: TLS, for which
//! such requests are left out, and every request that a client would send as it is (`client`).

use crate::client::{Request, StoredResponse};
use anyhow::{Context, Result, bail};
use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub async fn send(base: &Url, request: &Request, authorization: &str) -> Result<StoredResponse> {
    if base.scheme() != "http" {
        bail!(
            "a raw request needs a server that speaks http; this one is {}",
            base.scheme()
        );
    }
    let host = base.host_str().context("the URL has no host")?;
    let port = base.port_or_known_default().unwrap_or(80);
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(&bytes(host, request, authorization)).await?;
    let mut answer = Vec::new();
    // A server that refuses may close before it has read everything; what it said counts.
    let ended = stream.read_to_end(&mut answer).await;
    if answer.is_empty() {
        ended.context("the server closed the connection")?;
        bail!("the server closed the connection without an answer");
    }
    read(&String::from_utf8_lossy(&answer))
}

fn bytes(host: &str, request: &Request, authorization: &str) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    if !request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head += &format!("host: {host}\r\n");
    }
    head += &format!("authorization: {authorization}\r\nconnection: close\r\n");
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let body = match &request.body {
        Some((content_type, body)) => {
            head += &format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
            body.as_ref()
        }
        None => &[],
    };
    [head.as_bytes(), b"\r\n", body].concat()
}

/// The body stays as it came, chunk sizes and all: it is only searched.
fn read(answer: &str) -> Result<StoredResponse> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("\"{first}\" is no answer in HTTP/1"))?;
    Ok(StoredResponse {
        status,
        headers: headers.to_owned(),
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_is_sent_as_it_is() {
        let request = Request::post("/v1/../x%00", &json!({})).header("Host", "other").raw();
        let text = String::from_utf8(bytes("127.0.0.1", &request, "Bearer k")).unwrap();
        assert!(
            text.starts_with("POST /v1/../x%00 HTTP/1.1\r\nauthorization: Bearer k\r\n"),
            "{text}"
        );
        assert!(
            text.contains("Host: other\r\n") && !text.contains("host: 127.0.0.1"),
            "{text}"
        );
        assert!(text.ends_with("content-length: 2\r\n\r\n{}"), "{text}");
    }

    #[test]
    fn an_answer_is_read_whatever_is_in_it() {
        let reply = read("HTTP/1.1 404 Not Found\r\na: b\r\n\r\n{}").unwrap();
        assert_eq!(
            (reply.status, reply.headers.as_str(), reply.body.as_str()),
            (404, "a: b", "{}")
        );
        assert_eq!(read("HTTP/1.1 400 Bad Request").unwrap().status, 400);
        assert!(read("junk").is_err());
    }
}
