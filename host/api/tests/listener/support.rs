//! A listener on a free port, and a client that writes bytes as it likes. Not here: tests.

use axum::Router;
use riad_api::{Lifecycle, ServeOptions, Serving, serve};
use riad_core::Limits;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

/// Against a server that hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough to see that something does not happen.
pub const A_WHILE: Duration = Duration::from_millis(300);

pub fn options() -> ServeOptions {
    ServeOptions::new(&Limits::default(), None)
}

pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Bytes of the buffers below a slow connection, as they are asked for. The kernel makes them a few times larger.
const SMALL: u32 = 16 << 10;
/// An answer that does not fit into them.
pub const LARGE_ANSWER: usize = 2 << 20;

/// A server whose sockets take few bytes at once. Their buffers are those of the listener.
pub fn start_with_small_buffers(router: &Router, options: ServeOptions) -> (Serving, Lifecycle, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(SMALL).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    let lifecycle = Lifecycle::default();
    lifecycle.set_ready(router);
    (serve(listener, lifecycle.clone(), options).unwrap(), lifecycle, address)
}

/// A ready server over `router`.
pub async fn start(router: &Router, options: ServeOptions) -> (Serving, Lifecycle, SocketAddr) {
    let (listener, address) = listen().await;
    let lifecycle = Lifecycle::default();
    lifecycle.set_ready(router);
    (serve(listener, lifecycle.clone(), options).unwrap(), lifecycle, address)
}

/// A connection that writes and reads HTTP/1 by hand.
pub struct Wire(pub TcpStream);

impl Wire {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// A client that takes few bytes before it reads.
    pub async fn open_with_small_buffer(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SMALL).unwrap();
        Self(socket.connect(address).await.unwrap())
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    pub async fn get(&mut self, path: &str) {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: riad\r\n\r\n")).await;
    }

    /// Reads until `end` has come.
    pub async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&read).contains(end) {
                let mut byte = [0; 1];
                match self.0.read(&mut byte).await {
                    Ok(0) | Err(_) => panic!("closed before {end:?}: {}", String::from_utf8_lossy(&read)),
                    Ok(_) => read.push(byte[0]),
                }
            }
        };
        timeout(PATIENCE, reading).await.expect(end);
        String::from_utf8(read).unwrap()
    }

    /// Reads until the server has closed, however it does that.
    pub async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        let mut piece = [0; 4096];
        let reading = async {
            while let Ok(count @ 1..) = self.0.read(&mut piece).await {
                read.extend_from_slice(&piece[..count]);
            }
        };
        timeout(PATIENCE, reading).await.expect("the server does not close");
        String::from_utf8_lossy(&read).into_owned()
    }
}
