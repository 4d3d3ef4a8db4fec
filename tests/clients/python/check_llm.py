"""llm, the program for the command line: it is called as a person would."""

import json
import os
import pathlib
import subprocess
import sys

from common import *

PROGRAM = pathlib.Path(sys.executable).with_name("llm")
FOLDER = pathlib.Path("llm").resolve()
SCHEMA = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}, "sure": {"type": "boolean"}}, "required": ["mood", "sure"]}


def llm(*words, key=KEY, fails=False):
    (FOLDER / "keys.json").write_text(json.dumps({"riad": key}))
    environment = {**os.environ, "LLM_USER_PATH": str(FOLDER)}
    done = subprocess.run([PROGRAM, *words], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode != 0) == fails, (done.stdout, done.stderr)
    return done.stderr if fails else done.stdout


# Its file of models of other servers, which is where their URLs are given.
FOLDER.mkdir(exist_ok=True)
MODELS = [
    {
        "model_id": name,
        "model_name": model,
        "api_base": BASE_URL,
        "api_key_name": "riad",
        "supports_schema": True,
        "supports_tools": True,
    }
    for name, model in (("riad", MODEL), ("nobody", "gpt-none"))
]
# JSON is YAML.
(FOLDER / "extra-openai-models.yaml").write_text(json.dumps(MODELS))
ASK = ("-m", "riad", "-o", "temperature", "0", "-o", "max_tokens", "128")


def check_chat():
    assert llm(*ASK, "--no-stream", QUESTION).strip()
    assert llm(*ASK, "--no-stream", "--continue", "And then?").strip()


def check_stream():
    assert llm(*ASK, QUESTION) == llm(*ASK, "--no-stream", QUESTION)


def check_structured():
    answer = json.loads(llm(*ASK, "--schema", json.dumps(SCHEMA), QUESTION))
    assert answer["mood"] in ("good", "bad") and isinstance(answer["sure"], bool), answer


def check_tools():
    # It cannot require a call, and whether this model asks for one by itself is chance.
    llm(*ASK, "--tool", "llm_version", QUESTION)


def check_errors():
    assert "key" in llm(*ASK, "Hello", key=WRONG_KEY, fails=True)
    assert "gpt-none" in llm("-m", "nobody", "Hello", fails=True)
    assert "max_tokens" in llm("-m", "riad", "-o", "max_tokens", "5000", "Hello", fails=True)


version("llm")
lacks("models", "it lists the models of its own file")
lacks("embeddings", "of OpenAI's models only")
check_features({
    "chat": check_chat,
    "stream": check_stream,
    "structured": check_structured,
    "tools": check_tools,
    "errors": check_errors,
})
finish()
