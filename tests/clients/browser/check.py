"""A page in a browser (`RIAD_CLIENT` is its path) that asks with plain `fetch`, from an origin that the server allows.

This serves the page and its parameters on `RIAD_PAGE_PORT`, and the page sends what it saw back here. Nothing but Python's library.
"""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

PAGE = pathlib.Path(__file__).with_name("page.html").read_bytes()
GIVEN = {name: os.environ[f"RIAD_{name.upper()}"] for name in ("url", "key", "limited_key")}
done = threading.Event()
lines = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        given = self.path == "/given"
        self.answer(json.dumps(GIVEN).encode() if given else PAGE, "application/json" if given else "text/html")

    def do_POST(self):
        lines.extend(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer(b"{}", "application/json")
        done.set()

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


port = int(os.environ["RIAD_PAGE_PORT"])
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
program = os.environ["RIAD_CLIENT"]
shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
print("@ version", next(word for word in shown.split() if word[0].isdigit()), flush=True)
with tempfile.TemporaryDirectory() as profile:
    # Its sandbox needs rights that containers and root do not have; the page is our own.
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
    browser = subprocess.Popen([program, *options, f"http://127.0.0.1:{port}/"], stderr=subprocess.DEVNULL)
    # Against a page that hangs.
    answered = done.wait(300)
    browser.terminate()
    try:
        browser.wait(20)
    except subprocess.TimeoutExpired:
        browser.kill()
        browser.wait()
print("\n".join(lines), flush=True)
sys.exit(0 if answered and not any(" failed " in f"{line} " for line in lines) else 1)
