//! The child that compiles uploads, from inside of it: what it finds in its environment, and what the system lets it do. A
//! confined process stays confined, so each test begins this program again. Not here: the caps of the real child
//! (`app/tests/compile_bomb.rs`).
#![cfg(target_os = "linux")]

use crate::guests::guest;
use bytes::Bytes;
use riad_core::{Digest, ErrorKind, Limits, ports::Sandbox};
use riad_sandbox::{Compiler, Unconfined, WasmSandbox, compile_child};
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
        unconfined: Unconfined::Any,
    };
    let folder = tempfile::tempdir().unwrap();
    let sandbox = WasmSandbox::new(folder.path(), &Limits::default(), compiler).unwrap();
    let error = sandbox.compile(None, guest("echo").bytes).await.unwrap_err();
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
    let order = order(false);
    let mut attempting = Attempting {
        component: BufReader::new(io::Cursor::new(guest("echo").bytes)),
        results: Vec::new(),
    };
    let mut answer = Vec::new();
    let input = BufReader::new(io::Cursor::new(order).chain(&mut attempting));
    compile_child(input, &mut answer).unwrap();
    for result in attempting.results {
        println!("{result}");
    }
    println!("confined: {}", answer[0]);
    println!("compiled: {}", answer[1] == 0 && answer[2..].starts_with(b"\x7fELF"));
}

/// The first line of the child's input.
fn order(unconfined: bool) -> String {
    serde_json::json!({"limits": Limits::default(), "unconfined": unconfined}).to_string() + "\n"
}

#[test]
fn a_child_that_is_not_confined_compiles_only_if_it_may() {
    let output = run_in_own_process("compiling::compile_where_the_kernel_refuses_filters", Path::new(""));
    let printed = String::from_utf8_lossy(&output.stdout);
    let report = |unconfined: bool| {
        let start = format!("unconfined {unconfined}: ");
        let line = printed.lines().find_map(|line| line.strip_prefix(start.as_str()));
        line.unwrap_or_else(|| panic!("no {start:?} in {output:?}"))
    };
    assert_eq!(report(false), "not confined, because, and nothing more");
    assert_eq!(report(true), "not confined, because, and code");
}

#[test]
#[ignore = "begun by the test above, in a process of its own"]
fn compile_where_the_kernel_refuses_filters() {
    if env::var_os(REPORT).is_none() {
        return;
    }
    refuse_filters();
    for unconfined in [false, true] {
        let input = io::Cursor::new(order(unconfined)).chain(io::Cursor::new(guest("echo").bytes));
        let mut answer = Vec::new();
        compile_child(BufReader::new(input), &mut answer).unwrap();
        let confined = if answer[0] == 0 { "not confined" } else { "confined" };
        let (reason, content) = answer[3..].split_at(u16::from_le_bytes([answer[1], answer[2]]).into());
        let reason = if reason.is_empty() { "without reason" } else { "because" };
        let content = match content {
            [] => "nothing more",
            [0, code @ ..] if code.starts_with(b"\x7fELF") => "code",
            _ => "something else",
        };
        println!("\nunconfined {unconfined}: {confined}, {reason}, and {content}");
    }
}

/// As on a kernel without seccomp: no filter can be added from here on.
fn refuse_filters() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};
    let rules = [(libc::SYS_seccomp, Vec::new())].into_iter().collect();
    let refuse = SeccompAction::Errno(libc::EINVAL as u32);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        refuse,
        env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter_all_threads(&program).unwrap();
}

/// A compiler whose child reports that it is not confined, and what it finds in the component.
fn unconfined_compiler(unconfined: Unconfined) -> Compiler {
    let script = r"cat > /dev/null; printf '\000\006\000why???\001what is wrong'";
    Compiler::Child {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        unconfined,
    }
}

#[tokio::test]
async fn uploads_are_refused_where_the_compiler_is_not_confined() {
    let component = guest("echo").bytes;
    let limits = Limits::default();
    for (unconfined, expected) in [
        (Unconfined::Only(Vec::new()), ErrorKind::Unavailable),
        (Unconfined::Only(vec![Digest::of(b"another")]), ErrorKind::Unavailable),
        (
            Unconfined::Only(vec![Digest::of(&component)]),
            ErrorKind::InvalidRequest,
        ),
        (Unconfined::Any, ErrorKind::InvalidRequest),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let compiler = unconfined_compiler(unconfined);
        let reason = compiler.not_confined(&limits).await.unwrap();
        assert_eq!(reason.as_deref(), Some("why???"));
        let sandbox = WasmSandbox::new(folder.path(), &limits, compiler).unwrap();
        let error = sandbox.compile(None, component.clone()).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        if expected == ErrorKind::Unavailable {
            let for_operator = format!("{error:?}");
            assert!(for_operator.contains("why???"), "{for_operator}");
            assert!(
                for_operator.contains("plugins.allow_unconfined_compiler"),
                "{for_operator}"
            );
            assert!(!error.message().contains("why???"), "tenants do not see the reason");
        }
    }
}
