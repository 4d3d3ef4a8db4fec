//! A peer of the sandbox: a process that does the same and times it (`tests/peers/protocol`).

use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Answer {
    nanoseconds: Vec<u64>,
    result: String,
}

impl Peer {
    pub fn start(program: &Path, world: &Value) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut peer = Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        peer.write(world);
        peer
    }

    /// Does a task so often: the time of each, and what the last one gave.
    pub fn ask(&mut self, task: &str, times: usize) -> (Vec<Duration>, String) {
        self.write(&json!({ "task": task, "times": times }));
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let Answer { nanoseconds, result } =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("the peer ended at the task `{task}`: {error}"));
        (nanoseconds.into_iter().map(Duration::from_nanos).collect(), result)
    }

    fn write(&mut self, line: &Value) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends when there is nothing more to read.
        drop(self.input.take());
        drop(self.child.wait());
    }
}
