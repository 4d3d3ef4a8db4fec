"""The report: Markdown with tables. It names no folder and no host of the machine."""

import os
import platform
from importlib import metadata

PACKAGES = ["tantivy", "apsw", "faiss-cpu", "lancedb", "qdrant-client", "sqlite-vec", "numpy"]


class Report:
    def __init__(self):
        self.lines = []

    def heading(self, text, level=2):
        self.lines += [f"{'#' * level} {text}", ""]

    def text(self, text):
        self.lines += [text, ""]

    def table(self, head, rows):
        self.lines.append("| " + " | ".join(head) + " |")
        self.lines.append("|" + " --- |" * len(head))
        self.lines += ["| " + " | ".join(row) + " |" for row in rows]
        self.lines.append("")

    def write(self, path, command, seed, version, skipped, note):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
        head = [
            "# Retrieval beside its peers",
            "",
            f"Written by `{command}`. Do not edit.",
            "",
            f"Machine: {os.cpu_count()} cores ({platform.machine()}), {memory} GiB, {platform.system()}. Seed {seed}. {version}, Python "
            f"{platform.python_version()}, {versions}.",
            "",
            "Riad is asked over HTTP on one kept connection, with billing and the durability that it always has; the peers are libraries "
            "in the process that asks.",
            "",
            *([note, ""] if note else []),
        ]
        left_out = ["Skipped:", "", *[f"- {line}" for line in skipped], ""] if skipped else ["Nothing was skipped.", ""]
        path.write_text("\n".join([*head, *left_out, *self.lines]).rstrip() + "\n")
