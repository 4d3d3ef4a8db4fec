"""Riad before a real vLLM and a real llama.cpp: checks, overhead and a report. Run by `cargo xtask peers`.

    python peers.py --riad PROGRAM --model FOLDER --adapters FOLDER --alien FOLDER --work FOLDER [--vllm ENVIRONMENT] [--llama PROGRAM --gguf FILE]
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import checks
import overhead
from servers import Connection, Llama, Riad, Vllm

REPORT = Path(__file__).with_name("REPORT.md")
ADAPTERS_PER_SERVER = 2


def say(line):
    print(f"== {line}", file=sys.stderr, flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(description="Riad before other model servers", allow_abbrev=False)
    parser.add_argument("--riad", type=Path, required=True, help="the server's program")
    parser.add_argument("--model", type=Path, required=True, help="SmolLM2-135M-Instruct in Hugging Face's layout")
    parser.add_argument("--adapters", type=Path, required=True, help="a folder with its adapters and reference.json")
    parser.add_argument("--alien", type=Path, required=True, help="an adapter of another model")
    parser.add_argument("--work", type=Path, required=True, help="a folder for data that is removed again")
    parser.add_argument("--vllm", type=Path, help="a Python environment with vLLM")
    parser.add_argument("--llama", type=Path, help="llama.cpp's llama-server")
    parser.add_argument("--gguf", type=Path, help="the same model for it")
    parser.add_argument("--skipped", action="append", default=[], help="what is not there, in a line")
    parser.add_argument("--only", default="", help="names of checks, with commas; no report is written")
    parser.add_argument("--requests", type=int, default=overhead.REQUESTS, help="of each kind that are measured")
    parser.add_argument("--note", default="", help="a sentence for the report")
    return parser.parse_args()


def opinionated(model, work):
    """The model with defaults of sampling that nobody asked for, as those of many models are: vLLM takes them where a request says nothing."""
    folder = work / "model"
    folder.mkdir(parents=True)
    for file in model.iterdir():
        (folder / file.name).symlink_to(file.resolve())
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "top_k": 2, "top_p": 0.5, "repetition_penalty": 1.2}))
    return folder


def tenants(riad, adapters):
    made = []
    for voice in ("a", "b"):
        tenant = riad.tenant(f"tenant-{voice}")
        if adapters:
            status, answer = tenant.put_adapter("voice", adapters / f"adapter-{voice}")
            assert status == 201, f"{status} {answer}"
        made.append(tenant)
    return made


def run(arguments, server, here, here_tenants):
    """Rows of both tables, and whether all passed."""
    has_adapters = isinstance(server, Vllm)
    variables = {"RIAD_ENGINE__ENDPOINTS": f"http://127.0.0.1:{server.port}/v1"}
    if has_adapters:
        variables["RIAD_ENGINE__ADAPTER_FOLDER"] = str(arguments.work / "shared-adapters")
        variables["RIAD_ENGINE__ADAPTERS_PER_SERVER"] = str(ADAPTERS_PER_SERVER)
    riad = Riad(f"riad-{server.name}", arguments.work, arguments.riad, arguments.model, variables)
    rows = []
    try:
        say(f"starting {server.kind}")
        server.start()
        riad.start()
        pairs = zip(tenants(riad, arguments.adapters if has_adapters else None), here_tenants)
        s = checks.Session(server, riad, list(pairs), json.loads((arguments.adapters / "reference.json").read_text()))
        s.direct, s.adapters, s.alien = Connection(server.port), arguments.adapters, arguments.alien
        s.adapters_per_server = ADAPTERS_PER_SERVER
        chosen = [check for check in checks.ALL if not arguments.only or check.__name__ in arguments.only.split(",")]
        measured = []
        for check in chosen:
            if check is checks.killed and not arguments.only:
                say(f"{server.kind}: overhead")
                measured = overhead.measure(s, arguments.requests)
            rows.append(outcome(check, s))
        return rows, measured, not any(row[1] == "FAILED" for row in rows)
    finally:
        riad.stop()
        server.stop()


def outcome(check, s):
    label = check.__doc__
    try:
        result, note = "yes", check(s)
    except checks.Lacks as lacks:
        result, note = "refused", str(lacks)
    except Exception as error:
        traceback.print_exc()
        result, note = "FAILED", f"{type(error).__name__}: {error}"
    say(f"{s.server.kind}: {check.__name__}: {result}, {note}")
    return [label, result, note]


def table(head, rows):
    clean = lambda text: re.sub(r"\s+", " ", str(text)).replace("|", "\\|").strip()
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *[f"| {' | '.join(map(clean, row))} |" for row in rows], ""]


def version(program, *words):
    answer = subprocess.run([program, *words], capture_output=True, text=True, check=True)
    return (answer.stdout + answer.stderr).strip().splitlines()[0]


def write_report(arguments, found):
    memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    versions = [version(arguments.riad, "--version"), f"openai {importlib.metadata.version('openai')}"]
    lines = [
        "# Riad before other model servers",
        "",
        "Written by `cargo xtask peers`. Do not edit.",
        "",
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), {memory} GiB, no GPU. SmolLM2-135M-Instruct, computed in f32 everywhere. "
        + ", ".join(versions + [named for named, *_ in found])
        + ".",
        "",
        *([arguments.note, ""] if arguments.note else []),
        *[line for skipped in arguments.skipped for line in (f"Skipped: {skipped}", "")],
    ]
    for named, kind, rows, measured in found:
        lines += [f"## {kind}", "", *table(["what", "", "what was seen"], rows)]
        if measured:
            lines += [
                f"Overhead: {arguments.requests} requests of each kind in turn, one token but for the last row's, prompt in the server's cache. Milliseconds, p50 / p95.",
                "",
                *table(["request", f"{kind} alone", "through Riad", "ratio", "difference of p50", "p50 of the differences"], measured),
            ]
    REPORT.write_text("\n".join(lines).rstrip() + "\n")


def main():
    arguments = read_arguments()
    arguments.work = arguments.work.resolve()
    shutil.rmtree(arguments.work, ignore_errors=True)
    arguments.work.mkdir(parents=True)
    servers = []
    if arguments.vllm:
        found = version(arguments.vllm / "bin/python", "-c", "from importlib.metadata import version; print('vLLM', version('vllm'))")
        servers.append((found, Vllm(arguments.work, arguments.vllm, opinionated(arguments.model, arguments.work))))
    if arguments.llama:
        found = "llama.cpp " + version(arguments.llama, "--version").removeprefix("version: ")
        servers.append((found, Llama(arguments.work, arguments.llama, arguments.gguf)))
    say("starting Riad with the model in its own process")
    here = Riad("riad-here", arguments.work, arguments.riad, arguments.model)
    found, has_passed = [], True
    try:
        here.start()
        here_tenants = tenants(here, arguments.adapters)
        for named, server in servers:
            rows, measured, passed = run(arguments, server, here, here_tenants)
            found.append((named, server.kind, rows, measured))
            has_passed &= passed
    finally:
        here.stop()
    if not arguments.only:
        write_report(arguments, found)
    sys.exit(0 if has_passed else 1)


if __name__ == "__main__":
    main()
