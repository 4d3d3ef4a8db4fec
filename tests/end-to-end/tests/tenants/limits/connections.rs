//! Connections are scarce: those of clients that have shown a key stay when others must go.

use reqwest::Url;
use riad_end_to_end::TestHost;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_closes_connections_without_a_key_first() {
    let host = TestHost::builder()
        .limits(|limits| limits.connections = 2)
        .start()
        .await;
    // The operator's connection, and later a tenant's, is idle for longer than the one without a key.
    host.operator.get("/operator/v1/tenants").await.ok();
    let mut anonymous = open(&host).await;
    let mut newcomer = open(&host).await;
    let mut rest = Vec::new();
    anonymous.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "closed");
    // The operator's is the longest idle by far, and still there.
    newcomer.write_all(REQUEST).await.unwrap();
    newcomer.read_exact(&mut [0; 12]).await.unwrap();
    host.operator.get("/operator/v1/tenants").await.ok();
}

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: riad\r\n\r\n";

/// A connection that has asked what anybody may ask.
async fn open(host: &TestHost) -> TcpStream {
    let url = Url::parse(&host.url()).unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("ok") {
        answer.push(stream.read_u8().await.unwrap().into());
    }
    // The rest of the body.
    stream.read_exact(&mut [0; 2]).await.unwrap();
    stream
}
