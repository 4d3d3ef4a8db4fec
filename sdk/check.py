#!/usr/bin/env python3
"""Checks the SDKs for JavaScript and Python as authors use them: their own tests, then each template and example in a folder of its
own, with its unit tests, its build, and a look at what the component imports and exports.

    python3 sdk/check.py [javascript | python] [--keep FOLDER]

The steps are those of sdk/<language>/BUILD.md. `--keep` builds in a folder that stays, so that packages are installed once; the
components are in FOLDER/<name>/build/.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
VERSION = "0.2.0"
"""Of `riad:pipeline`. Each capability says its own."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the SDKs for JavaScript and Python.")
    parser.add_argument("language", nargs="?", choices=list(STEPS), help="both, if it is not given")
    parser.add_argument("--keep", type=Path, help="build here, and leave it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = (arguments.keep or Path(scratch)).resolve()
        for language in [arguments.language] if arguments.language else STEPS:
            test_sdk(language)
            template = REPOSITORY / "sdk" / language / "template"
            check(make_project(template, root / f"hello-{language}"))
            for manifest in sorted((REPOSITORY / "plugins").glob("*/riad.toml")):
                if read_manifest(manifest.parent)["plugin"]["language"] == language:
                    check(make_project(manifest.parent, root / manifest.parent.name))
    print("Everything held.")
    return 0


def test_sdk(language: str) -> None:
    folder = REPOSITORY / "sdk" / language
    print(f"== sdk/{language}", flush=True)
    command = {
        "javascript": ["npm", "test", "--silent"],
        "python": [sys.executable, "-m", "unittest", "discover", "-q", "-s", "tests"],
    }
    run(command[language], folder)


def make_project(source: Path, folder: Path) -> Path:
    """A copy with the plugin's name in place of `{{name}}`, and the SDK in `.riad/`, as `riad plugin new` makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.rglob("*"):
        below = file.relative_to(source)
        if file.is_file() and not {"node_modules", ".venv", "build", ".riad", "__pycache__"} & set(below.parts):
            target = folder / below
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.read_text().replace("{{name}}", folder.name))
    language = read_manifest(folder)["plugin"]["language"]
    sdk = folder / ".riad" / "sdk" / language
    shutil.rmtree(sdk, ignore_errors=True)
    ignored = shutil.ignore_patterns("template", "tests", "__pycache__", "node_modules")
    shutil.copytree(REPOSITORY / "sdk" / language, sdk, ignore=ignored)
    write_world(folder)
    return folder


def write_world(folder: Path) -> None:
    plugin = read_manifest(folder)["plugin"]
    world = folder / ".riad" / "world"
    shutil.rmtree(world, ignore_errors=True)
    for package in (REPOSITORY / "wit").glob("riad-*"):
        if package.name != "riad-plugin":
            shutil.copytree(package, world / "deps" / package.name)
    lines = [f"  import riad:{name}/{name}@{version(name)};" for name in plugin["capabilities"]]
    lines += [f"  export riad:pipeline/{stage}@{VERSION};" for stage in plugin["stages"]]
    (world / "plugin.wit").write_text("package riad-author:plugin;\n\nworld plugin {\n" + "\n".join(lines) + "\n}\n")


def version(package: str) -> str:
    prefix = f"package riad:{package}@"
    text = (REPOSITORY / "wit" / f"riad-{package}" / f"{package}.wit").read_text()
    return next(line for line in text.splitlines() if line.startswith(prefix))[len(prefix) : -1]


def check(folder: Path) -> None:
    plugin = read_manifest(folder)["plugin"]
    print(f"== {folder.name}", flush=True)
    install, test, build = STEPS[plugin["language"]]
    install(folder)
    test(folder)
    component = folder / "build" / f"{plugin['name']}.wasm"
    component.parent.mkdir(exist_ok=True)
    build(folder, component)
    imports, exports = names(component.read_bytes())
    print(f"   {component.stat().st_size / 1e6:.1f} MB; imports {', '.join(imports)}; exports {', '.join(exports)}")
    wanted = {f"riad:pipeline/{stage}@{VERSION}" for stage in plugin["stages"]}
    assert wanted <= set(exports), f"the component does not export {wanted - set(exports)}"
    granted = {f"riad:{name}/{name}" for name in plugin["capabilities"]} | {"riad:types/types", "riad:pipeline/types"}
    more = {name for name in imports if name.split("@")[0] not in granted}
    assert not more, f"the component imports {more}, which riad.toml does not name"


def install_javascript(folder: Path) -> None:
    run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"], folder)


def test_javascript(folder: Path) -> None:
    run(["npm", "test", "--silent"], folder)


def build_javascript(folder: Path, component: Path) -> None:
    stages = read_manifest(folder)["plugin"]["stages"]
    run(["node", ".riad/sdk/javascript/check-exports.js", "src/plugin.js", *stages], folder)
    options = ["--wit", ".riad/world", "-n", "plugin", "-j", "src/plugin.js"]
    run(["npx", "--no", "componentize-qjs", "--", *options, "--stub-wasi", "--sync", "--opt-size", "-o", str(component)], folder)


def install_python(folder: Path) -> None:
    environment = folder / ".venv"
    if not (environment / "bin" / "componentize-py").exists():
        run([sys.executable, "-m", "venv", str(environment)], folder)
        run([".venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"], folder)


def test_python(folder: Path) -> None:
    run([".venv/bin/pytest", "-q"], folder)


def build_python(folder: Path, component: Path) -> None:
    paths = ["-p", "src", "-p", ".riad/sdk/python"]
    tool = [".venv/bin/componentize-py", "-d", ".riad/world", "-w", "plugin", "componentize", "plugin", "-s"]
    run([*tool, *paths, "-o", str(component)], folder)


STEPS = {
    "javascript": (install_javascript, test_javascript, build_javascript),
    "python": (install_python, test_python, build_python),
}


def read_manifest(folder: Path) -> dict:
    return tomllib.loads((folder / "riad.toml").read_text())


def run(command: list[str], folder: Path) -> None:
    """What a step that holds says is of no interest."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed in {folder}:\n{done.stdout}{done.stderr}")


def names(component: bytes) -> tuple[list[str], list[str]]:
    """Imports and exports of a component's top level, as its binary format has them."""
    assert component[:8] == b"\0asm\x0d\0\x01\0", "this is not a component"
    imports: list[str] = []
    exports: list[str] = []
    at = 8
    while at < len(component):
        section = component[at]
        length, begin = number(component, at + 1)
        at = begin + length
        if section in (10, 11):
            count, position = number(component, begin)
            for _ in range(count):
                name, position = read_name(component, position)
                position = after_import(component, position) if section == 10 else after_export(component, position)
                (imports if section == 10 else exports).append(name)
    return imports, exports


def number(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number in LEB128, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def read_name(data: bytes, at: int) -> tuple[str, int]:
    length, begin = number(data, at + 1)
    return data[begin : begin + length].decode(), begin + length


def after_import(data: bytes, at: int) -> int:
    """Behind an `externdesc`: its sort, for modules and types one more byte, and an index."""
    sort = data[at]
    at += 2 if sort in (0x00, 0x03) else 1
    return number(data, at)[1]


def after_export(data: bytes, at: int) -> int:
    at += 2 if data[at] == 0x00 else 1
    _, at = number(data, at)
    has_type = data[at] == 1
    return after_import(data, at + 1) if has_type else at + 1



if __name__ == "__main__":
    sys.exit(main())
