//! As much of HTTP as the fakes speak: a head, and a body of a known length.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

pub struct Answer {
    pub status: u16,
    pub body: String,
    head: String,
}

impl Answer {
    /// The cell that answered, if one did.
    pub fn cell(&self) -> &str {
        self.header("x-answered-by").unwrap_or_default()
    }

    /// How many bytes of a body arrived there.
    pub fn bytes(&self) -> usize {
        self.header("x-body-bytes").unwrap().parse().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .next()
}

/// Head and body of a message.
pub fn read_message(socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut message = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match socket.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => message.extend(&piece[..read]),
        }
        let Some(end) = message.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&message[..end]).into_owned();
        let mut body = message.split_off(end + 4);
        let length: usize = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let there = body.len();
        if length > there {
            body.resize(length, 0);
            socket.read_exact(&mut body[there..]).ok()?;
        }
        return Some((head, body));
    }
}

pub fn ask(at: SocketAddr, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    let mut socket = TcpStream::connect(at).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: riad.example\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body.as_bytes()).unwrap();
    let (head, body) = read_message(&mut socket).unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: String::from_utf8(body).unwrap(),
        head,
    }
}
