"""Lines of code in each language: Rust stays under half."""

import subprocess
from pathlib import Path

from bench.figures import table


def run() -> str:
    counts = {"Python": 0, "Rust": 0}
    suffixes = {".py": "Python", ".pyi": "Python", ".rs": "Rust"}
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        language = suffixes.get(Path(name).suffix)
        if language is not None:
            text = Path(name).read_text(encoding="utf-8")
            counts[language] += sum(1 for line in text.splitlines() if line.strip())
    whole = sum(counts.values())
    rows = [[name, str(count), f"{count / whole:.0%}"] for name, count in counts.items()]
    return table("Lines that are not blank", ["", "lines", "share"], rows)
