//! A connection that stays open, for requests without a body: the time that a client of its own would take is not measured with them.

use anyhow::{Context, Result};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
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
        let head = format!("GET {path} HTTP/1.1\r\nhost: riad\r\n{header}\r\n\r\n");
        self.0.get_mut().write_all(head.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut answer = Answer {
            status: status.context("the answer has no status")?,
            cell: None,
        };
        let mut length = None;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = Some(value.trim().parse()?),
                "riad-cell" => answer.cell = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length.context("the answer has no length")?];
        self.0.read_exact(&mut body)?;
        Ok(answer)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
