"""A Riad server of the benchmark's own, which it can start again, and a tenant's room over one HTTP connection that is kept open."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

OPERATOR_KEY = "riad_op_of_a_benchmark"
# Beside compilers it takes long to compile the standard pipeline, once for a data folder.
START_SECONDS = 300
# After which a connection is made anew; the server's limits.header_ms is longer.
IDLE_SECONDS = 5
# Texts of one request for embeddings.
EMBEDDED_AT_ONCE = 512
# A constant title, because the right one is the answer. It is among the words of each chunk, so it must be in no question.
TITLE = "zzqx"


class Refused(Exception):
    pass


class Connection:
    def __init__(self, address, key):
        self.http = http.client.HTTPConnection(*address, timeout=600)
        self.connect()
        self.headers = {"authorization": f"Bearer {key}"}

    def connect(self):
        self.http.connect()
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.used = time.monotonic()

    def get(self, path):
        return self.ask("GET", path, None)

    def post(self, path, body):
        return self.ask("POST", path, json.dumps(body).encode())

    def upload(self, path, name, content):
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\ncontent-type: text/plain\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return self.ask("POST", path, body, f"multipart/form-data; boundary={boundary}")

    def ask(self, method, path, body, content_type="application/json"):
        # The server closes what is idle: peers may have taken their time.
        if time.monotonic() - self.used > IDLE_SECONDS:
            self.http.close()
            self.connect()
        self.http.request(method, path, body, {**self.headers, "content-type": content_type})
        self.used = time.monotonic()
        answer = self.http.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise Refused(f"{path} answers {answer.status}: {text.decode(errors='replace')[:300]}")
        return json.loads(text)


class Room:
    def __init__(self, address, key):
        self.address, self.key = address, key
        self.connection = Connection(address, key)

    def again(self):
        """The same room over another connection."""
        return Room(self.address, self.key)

    def add(self, text):
        return self.connection.post("/v1/documents", {"title": TITLE, "text": text})

    def add_file(self, text):
        return self.connection.upload("/v1/documents", f"{TITLE}.txt", text.encode())

    def search(self, query, limit=10, words=None, vectors=None):
        """Pairs of a document's id and a chunk's position, best first. Without weights the server takes its own."""
        body = {"query": query, "limit": limit}
        if words is not None:
            body["ranking_options"] = {"hybrid_search": {"text_weight": words, "embedding_weight": vectors}}
        found = self.connection.post("/v1/search", body)["data"]
        return [(passage["document"], passage["chunk"]) for passage in found]

    def takes_weights(self):
        try:
            self.search("weights", words=1, vectors=1)
        except Refused:
            return False
        return True

    def embed(self, texts):
        models = self.connection.get("/v1/models")["data"]
        model = next(model["id"] for model in models if model["id"].startswith(("static-", "bert-")))
        vectors = []
        for start in range(0, len(texts), EMBEDDED_AT_ONCE):
            body = {"model": model, "input": texts[start : start + EMBEDDED_AT_ONCE]}
            vectors += [row["embedding"] for row in self.connection.post("/v1/embeddings", body)["data"]]
        return vectors


class Server:
    """`variables` are configuration keys as environment variables."""

    def __init__(self, program, folder, variables=None):
        self.program, self.folder = str(program), Path(folder)
        self.variables = variables or {}
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = free.getsockname()
        variables = {**os.environ, "RIAD_OPERATOR_KEY": OPERATOR_KEY, **self.variables}
        command = [self.program, "serve", "--listen", "{}:{}".format(*self.address), "--data", "data"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ends = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > ends:
                self.stop()
                raise RuntimeError("the server does not start:\n" + (self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def is_ready(self):
        try:
            ask = http.client.HTTPConnection(*self.address, timeout=5)
            ask.request("GET", "/readyz")
            return ask.getresponse().status == 200
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=120)

    def restart(self):
        self.stop()
        self.start()

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the system does not say how much memory the server has")

    def room(self, tenant):
        operator = Connection(self.address, OPERATOR_KEY)
        made = operator.post("/operator/v1/tenants", {"id": tenant, "name": tenant})
        return Room(self.address, made["key"])

    def reopened(self, room):
        """A room over a connection to the server as it is now."""
        return Room(self.address, room.key)
