//! The child that compiles uploads, from inside of it: what it finds in its environment, and what the system lets it do. A
//! confined process stays confined, so each test begins this program again. Not here: the caps of the real child
//! (`app/tests/compile_bomb.rs`).
#![cfg(target_os = "linux")]

use crate::guests::guest;
use bytes::Bytes;
use riad_core::{ErrorKind, Limits, ports::Sandbox};
use riad_sandbox::{Compiler, WasmSandbox, compile_child};
use std::{
    env,
    fs::{self, File},
    io::{self, BufReader, Read},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Output},
    thread,
};

/// Where the process that a test began writes what it saw.
const REPORT: &str = "RIAD_TEST_REPORT";
const SECRETS: [&str; 5] = [
    "RIAD_OPERATOR_KEY",
    "RIAD_METRICS_KEY",
    "RIAD_WEBHOOK_SECRET",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "A_VARIABLE_THAT_NOBODY_KNOWS",
];

/// Runs one of the ignored tests below in a process of its own, as a server with secrets in its environment.
fn run_in_own_process(test: &str, report: &Path) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--nocapture", "--exact", test]);
    command.env(REPORT, report).env("LD_LIBRARY_PATH", "/opt/libraries");
    for name in SECRETS {
        command.env(name, "hunter2");
    }
    command.output().unwrap()
}

#[test]
fn the_child_has_nothing_of_the_servers_environment() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("environment");
    let output = run_in_own_process("compiling::upload_to_a_compiler_that_reports_its_environment", &report);
    let environment = fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let names: Vec<&str> = environment
        .split_terminator('\0')
        .map(|variable| variable.split('=').next().unwrap())
        .collect();
    assert_eq!(names, ["LD_LIBRARY_PATH"]);
}

#[tokio::test]
#[ignore = "begun by the test above, in a process of its own"]
async fn upload_to_a_compiler_that_reports_its_environment() {
    let Some(report) = env::var_os(REPORT) else { return };
    let script = format!("cat /proc/$$/environ > '{}'", report.to_str().unwrap());
    let compiler = Compiler::Child {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script],
    };
    let folder = tempfile::tempdir().unwrap();
    let sandbox = WasmSandbox::new(folder.path(), &Limits::default(), compiler).unwrap();
    let error = sandbox.compile(guest("echo").bytes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLimit);
}

#[test]
fn the_child_cannot_open_files_sockets_or_programs() {
    assert!(
        fs::exists("/proc/sys/kernel/seccomp").unwrap(),
        "this kernel has no seccomp, so that nothing is confined here"
    );
    let output = run_in_own_process("compiling::attempt_everything_while_compiling", Path::new(""));
    let printed = String::from_utf8_lossy(&output.stdout);
    let found = |start: &str| {
        let line = printed.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("no {start:?} in {output:?}"))
    };
    assert_eq!(found("confined: "), "confined: 1");
    for attempt in ATTEMPTS.map(|(attempt, _)| attempt) {
        let line = found(&format!("{attempt}: "));
        assert!(line.contains("PermissionDenied"), "{line}");
    }
    assert_eq!(
        found("compiled: "),
        "compiled: true",
        "the attempts have not kept it from its work"
    );
}

type Attempt = (&'static str, fn() -> io::Result<()>);

const ATTEMPTS: [Attempt; 10] = [
    ("read a file", || File::open("/etc/hostname").map(drop)),
    ("write a file", || File::create("/tmp/riad-was-here").map(drop)),
    ("list a folder", || fs::read_dir("/").map(drop)),
    ("remove a file", || fs::remove_file("/tmp/riad-was-here")),
    ("listen", || TcpListener::bind("127.0.0.1:0").map(drop)),
    ("connect", || TcpStream::connect("127.0.0.1:9").map(drop)),
    ("pair of sockets", || UnixStream::pair().map(drop)),
    ("run a program", || Command::new("/bin/true").status().map(drop)),
    ("raise the memory cap", || {
        rlimit::Resource::AS.set(rlimit::INFINITY, rlimit::INFINITY)
    }),
    ("start a thread", || thread::Builder::new().spawn(|| ()).map(drop)),
];

/// Input of the compiling child whose second part is a component that makes the process attempt everything.
struct Attempting {
    component: BufReader<io::Cursor<Bytes>>,
    results: Vec<String>,
}

impl Read for &mut Attempting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.results.is_empty() {
            for (attempt, act) in ATTEMPTS {
                self.results
                    .push(format!("{attempt}: {:?}", act().map_err(|error| error.kind())));
            }
        }
        self.component.read(buffer)
    }
}

#[test]
#[ignore = "begun by the test above, in a process of its own"]
fn attempt_everything_while_compiling() {
    if env::var_os(REPORT).is_none() {
        return;
    }
    let limits = serde_json::to_string(&Limits::default()).unwrap() + "\n";
    let mut attempting = Attempting {
        component: BufReader::new(io::Cursor::new(guest("echo").bytes)),
        results: Vec::new(),
    };
    let mut answer = Vec::new();
    let input = BufReader::new(io::Cursor::new(limits).chain(&mut attempting));
    compile_child(input, &mut answer).unwrap();
    for result in attempting.results {
        println!("{result}");
    }
    println!("confined: {}", answer[0]);
    println!("compiled: {}", answer[1] == 0 && answer[2..].starts_with(b"\x7fELF"));
}
