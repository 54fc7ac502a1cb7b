"""Write requirements.lock from pyproject.toml: every version and hash, no index's address.

Called by `make lock`, with an interpreter that has pip-tools.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path


def main(target: str) -> int:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
        source.write("\n".join(wanted))
        source.flush()
        command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--upgrade"]
        command += ["--generate-hashes", "--strip-extras", "--no-header", "--no-annotate"]
        command += ["--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links"]
        return subprocess.run([*command, "-o", target, source.name], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
