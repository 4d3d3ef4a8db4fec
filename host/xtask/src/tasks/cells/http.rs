//! A connection that stays open: the time that a client of its own would take is not measured with it.

use anyhow::{Context, Result};
use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Only a server that hangs makes a task wait for it.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Connection(BufReader<TcpStream>);

pub struct Answer {
    pub status: u16,
    /// The cell that a 421 names.
    pub cell: Option<String>,
    pub body: String,
    /// Whether the connection ends with it.
    pub is_last: bool,
}

impl Connection {
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(socket)))
    }

    /// # Errors
    /// When there is no answer, or none that has a length.
    pub fn get(&mut self, path: &str, header: &str) -> Result<Answer> {
        self.send("GET", path, header, "")
    }

    /// A request with a JSON body, unless that is empty.
    ///
    /// # Errors
    /// When there is no answer, or none that has a length.
    pub fn send(&mut self, method: &str, path: &str, header: &str, body: &str) -> Result<Answer> {
        let length = match (method, body) {
            ("GET", "") => String::new(),
            _ => format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()),
        };
        let request = format!("{method} {path} HTTP/1.1\r\nhost: riad\r\n{header}\r\n{length}\r\n{body}");
        self.0.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer = Answer {
            status: status.context("the answer has no status")?,
            cell: None,
            body: String::new(),
            is_last: false,
        };
        let (mut length, mut is_chunked) = (None, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = Some(value.parse()?),
                "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => answer.is_last = value.eq_ignore_ascii_case("close"),
                "riad-cell" => answer.cell = Some(value.to_owned()),
                _ => {}
            }
        }
        let body = match is_chunked {
            true => self.chunks()?,
            false => self.bytes(length.context("the answer has no length")?)?,
        };
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    /// Whether the other side has closed it, as far as is known here.
    pub fn is_closed(&mut self) -> bool {
        let socket = self.0.get_mut();
        let closed = socket.set_nonblocking(true).is_err()
            || !matches!(socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        closed || socket.set_nonblocking(false).is_err()
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size.trim(), 16).context("a chunk has no length")?;
            body.extend(self.bytes(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
