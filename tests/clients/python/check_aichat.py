"""aichat, the program for the command line: it is called as a person would. `RIAD_CLIENT` is its path."""

import json
import os
import pathlib
import subprocess

from common import *

FOLDER = pathlib.Path("aichat").resolve()
FOLDER.mkdir(exist_ok=True)


def aichat(*words, key=KEY, model=f"riad:{MODEL}", fails=False):
    models = [
        {"name": MODEL, "max_input_tokens": 1024, "supports_function_calling": True},
        {"name": "gpt-none"},
        {"name": EMBEDDER, "type": "embedding", "default_chunk_size": 200, "max_batch_size": 10},
    ]
    server = {"type": "openai-compatible", "name": "riad", "api_base": BASE_URL, "api_key": key, "models": models}
    # JSON is YAML.
    config = {"model": model, "temperature": 0, "save": False, "clients": [server]}
    (FOLDER / "config.yaml").write_text(json.dumps(config))
    environment = {**os.environ, "AICHAT_CONFIG_DIR": str(FOLDER)}
    command = [os.environ["RIAD_CLIENT"], *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode != 0) == fails, (done.stdout, done.stderr)
    return done.stderr if fails else done.stdout


def check_chat():
    assert aichat("--no-stream", QUESTION).strip()


def check_stream():
    assert aichat(QUESTION).strip() == aichat("--no-stream", QUESTION).strip()


def check_errors():
    assert "key is not valid" in aichat("Hello", key=WRONG_KEY, fails=True)
    assert "gpt-none" in aichat("Hello", model="riad:gpt-none", fails=True)


print("@ version", aichat("--version").split()[-1], flush=True)
lacks("models", "it lists the models of its own file")
lacks("structured")
lacks("tools", "of its own only, and it cannot require one")
lacks("embeddings", "for its own index only, which needs a terminal")
lacks("retries")
for name, check in {"chat": check_chat, "stream": check_stream, "errors": check_errors}.items():
    with feature(name):
        check()
finish()
