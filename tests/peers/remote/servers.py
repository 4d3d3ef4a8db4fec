"""The servers: Riad with a model of its own or with another server's, vLLM, and llama.cpp's. Each ends with the run."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import openai

OPERATOR_KEY = "riad_op_of_a_developer_task"
# Beside compilers everything takes long.
START_SECONDS = 900
MODEL = "smollm2"
# More than the model servers have, so that a prompt may be too long for them only.
CONTEXT_TOKENS = 2048
SEQUENCES = 8


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Connection:
    """HTTP that is kept open, with as little of its own as possible, because its time is measured."""

    def __init__(self, port, key=None):
        self.port, self.headers = port, {"authorization": f"Bearer {key}"} if key else {}
        self.http = None

    def send(self, method, path, body=None, content_type="application/json"):
        if not isinstance(body, bytes):
            body = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, "content-type": content_type}
        for _ in range(2):
            try:
                if self.http is None:
                    self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
                    self.http.connect()
                    self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.http.request(method, path, body, headers)
                return self.http.getresponse()
            except (http.client.HTTPException, ConnectionError):
                # The server closes what is idle.
                self.http = None
        raise ConnectionError(f"port {self.port} does not answer {path}")

    def ask(self, method, path, *body):
        """Status and body of an answer."""
        answer = self.send(method, path, *body)
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def good(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        assert status < 300, f"{path} answers {status}: {str(answer)[:300]}"
        return answer


class Server:
    """A program on a port of its own, in a folder of its own."""

    ready = "/health"

    def __init__(self, name, folder, command, variables=None):
        self.name, self.folder, self.port = name, Path(folder), free_port()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.command = [str(word) for word in command(self.port)]
        self.variables = {**os.environ, "NO_PROXY": "127.0.0.1", **(variables or {})}
        self.process = None

    def start(self):
        with open(self.folder / "log", "ab") as log:
            # A group of its own, so that its children end with it.
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        ends = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > ends:
                self.stop()
                raise RuntimeError(f"{self.name} does not start:\n{self.log()[-3000:]}")
            time.sleep(0.1)
        return self

    def is_ready(self):
        try:
            return Connection(self.port).ask("GET", self.ready)[0] == 200
        except OSError:
            return False

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def kill(self):
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def gauge(self, name):
        """The sum of a metric over its labels."""
        status, text = Connection(self.port).ask("GET", "/metrics")
        assert status == 200, f"{self.name} has no metrics"
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith((name + "{", name + " "))]
        assert lines, f"{self.name} has no metric {name}"
        return sum(float(value) for _, value in lines)


class Riad(Server):
    ready = "/readyz"

    def __init__(self, name, work, program, model, variables=None):
        of_model = {
            "RIAD_OPERATOR_KEY": OPERATOR_KEY,
            "RIAD_ENGINE__MODEL": str(model),
            "RIAD_ENGINE__ID": MODEL,
            "RIAD_ENGINE__PROFILE__CONTEXT_TOKENS": str(CONTEXT_TOKENS),
            "RIAD_ENGINE__MAX_SEQUENCES": str(SEQUENCES),
        }
        command = lambda port: [program, "serve", "--listen", f"127.0.0.1:{port}", "--data", "data"]
        super().__init__(name, work / name, command, {**of_model, **(variables or {})})

    def tenant(self, name):
        made = Connection(self.port, OPERATOR_KEY).good("POST", "/operator/v1/tenants", {"id": name, "name": name})
        return Tenant(self, name, made["key"])

    def entries(self, tenant):
        page = Connection(self.port, OPERATOR_KEY).good("GET", f"/operator/v1/ledger/entries?tenant={tenant}&limit=1000")
        return page["data"]


class Tenant:
    def __init__(self, riad, name, key):
        self.riad, self.name, self.key = riad, name, key
        self.http = Connection(riad.port, key)
        self.client = openai.OpenAI(base_url=f"http://127.0.0.1:{riad.port}/v1", api_key=key, max_retries=0, timeout=600)

    def put_adapter(self, name, folder):
        """Status and body of the answer."""
        boundary, form = "adapter", b""
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            head = f'--{boundary}\r\ncontent-disposition: form-data; name="{file}"; filename="{file}"\r\n\r\n'
            form += head.encode() + (Path(folder) / file).read_bytes() + b"\r\n"
        form += f"--{boundary}--\r\n".encode()
        return self.http.ask("PUT", f"/v1/adapters/{name}", form, f"multipart/form-data; boundary={boundary}")


class Vllm(Server):
    kind = "vLLM"
    running = "vllm:num_requests_running"
    prompt_tokens, completion_tokens = "vllm:prompt_tokens_total", "vllm:generation_tokens_total"

    def __init__(self, work, folder, model):
        command = lambda port: [
            folder / "bin/python", "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", MODEL,
            "--host", "127.0.0.1", "--port", port, "--dtype", "float32", "--max-model-len", CONTEXT_TOKENS,
            "--max-num-seqs", SEQUENCES, "--enable-lora", "--max-loras", "2", "--max-lora-rank", "16", "--enable-prompt-tokens-details",
        ]  # fmt: skip
        offline = {
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "VLLM_CPU_KVCACHE_SPACE": "2",
            "VLLM_CPU_OMP_THREADS_BIND": f"0-{os.cpu_count() - 1}",
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
            # What it compiles at its first start.
            "VLLM_CACHE_ROOT": str(folder / "compiled"),
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled/inductor"),
            "CUDA_VISIBLE_DEVICES": "",
            # Without it, it computes on one core.
            "LD_PRELOAD": str(folder / "lib/libiomp5.so"),
        }
        super().__init__("vllm", work / "vllm", command, offline)


class Llama(Server):
    kind = "llama.cpp"
    running = "llamacpp:requests_processing"
    prompt_tokens, completion_tokens = None, "llamacpp:tokens_predicted_total"

    def __init__(self, work, program, gguf):
        command = lambda port: [
            program, "--model", gguf, "--alias", MODEL, "--host", "127.0.0.1", "--port", port, "--parallel", SEQUENCES,
            "--ctx-size", CONTEXT_TOKENS * SEQUENCES, "--threads", os.cpu_count(), "--metrics", "--no-webui",
        ]  # fmt: skip
        super().__init__("llama", work / "llama", command)
