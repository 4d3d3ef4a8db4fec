//! A proxy of this machine, in a folder of its own and on a free port; ended with its test.

use riad_cells::{CellMap, Proxy, RouteOptions, routes};
use std::{
    fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Until it listens; only a proxy that hangs makes a test wait for it.
const START_MAX: Duration = Duration::from_secs(60);

pub struct Running {
    pub address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Running {
    /// `None` if it is not installed.
    pub fn start(proxy: Proxy, map: &CellMap) -> Option<Self> {
        let program = program(proxy)?;
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let configuration = write(proxy, map, address, folder.path());
        let mut command = Command::new(program);
        match proxy {
            Proxy::Nginx => command.arg("-p").arg(folder.path()).arg("-c").arg(configuration),
            Proxy::Haproxy | Proxy::Envoy | Proxy::Gateway => command.arg("-db").arg("-f").arg(configuration),
        };
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut running = Self {
            address,
            child,
            _folder: folder,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(running.child.try_wait().unwrap().is_none(), "{proxy:?} has ended");
            assert!(begun.elapsed() < START_MAX, "{proxy:?} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has the proxy check its configuration.
pub fn check(proxy: Proxy, cells: &[(&str, &str)]) {
    let Some(program) = program(proxy) else {
        return;
    };
    let cells = cells
        .iter()
        .map(|(name, url)| (name.parse().unwrap(), url.parse().unwrap()));
    let map = CellMap::even(cells.collect()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let configuration = write(proxy, &map, free_address(), folder.path());
    let mut command = Command::new(program);
    match proxy {
        Proxy::Nginx => command
            .arg("-t")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(configuration),
        Proxy::Haproxy | Proxy::Envoy | Proxy::Gateway => command.arg("-c").arg("-f").arg(configuration),
    };
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // A name that does not exist now may later.
    let is_warning = |line: &str| line.contains("[WARNING]") && !line.contains("could not resolve");
    assert!(
        output.status.success() && !said.lines().any(is_warning),
        "{proxy:?}: {said}"
    );
}

fn write(proxy: Proxy, map: &CellMap, listen: SocketAddr, folder: &Path) -> PathBuf {
    let options = RouteOptions {
        listen,
        tenant_claim: "tenant".to_owned(),
        hostname: "riad.example".to_owned(),
    };
    let text = routes(map, proxy, &options).unwrap();
    let routes = folder.join("riad.conf");
    fs::write(&routes, text).unwrap();
    if proxy != Proxy::Nginx {
        return routes;
    }
    let whole = folder.join("nginx.conf");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {kind};\n"))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\nevents {{}}\nhttp {{\n    access_log off;\n{temporary}    include {};\n}}\n",
        routes.display()
    );
    fs::write(&whole, text).unwrap();
    whole
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn program(proxy: Proxy) -> Option<PathBuf> {
    let name = match proxy {
        Proxy::Haproxy => "haproxy",
        Proxy::Nginx => "nginx",
        Proxy::Envoy | Proxy::Gateway => return None,
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where distributions have them, also if it is in no user's path.
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        // Past the test's capture.
        let _ = writeln!(io::stderr(), "SKIPPED: {name} is not installed");
    }
    found
}
