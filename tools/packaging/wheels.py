"""List which dependencies of the package have wheels for which platform.

For each requirement of setup.cfg, pip resolves the version for the platform. Only metadata is downloaded, and
nothing is installed. Indirect dependencies are not checked.

    python tools/packaging/wheels.py                        # the table of README.md
    python tools/packaging/wheels.py --python 3.13
"""

from __future__ import annotations

import argparse
import configparser
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# The oldest systems that PaddlePaddle's wheels support, as pip's platform tags.
PLATFORMS = {
    "Linux x86_64": (
        "manylinux_2_28_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
        "linux_x86_64",
    ),
    "Linux aarch64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
    "macOS arm64": ("macosx_14_0_arm64", "macosx_13_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"),
    "Windows": ("win_amd64",),
}


def requirements(path: Path) -> Iterator[str]:
    """Return the requirements of the package and of its extra ``cpu``."""
    config = configparser.ConfigParser()
    config.read_string(path.read_text(encoding="utf-8"))
    for section, key in (("options", "install_requires"), ("options.extras_require", "cpu")):
        lines = config[section][key].splitlines()
        yield from (line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))


def chosen(requirement: str, python: str, platforms: tuple[str, ...]) -> str | None:
    """Return the version whose wheel pip would install; None if there is no wheel."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--report", "-"]
    command += ["--only-binary=:all:", "--ignore-installed", "--target", "unused", "--python-version", python]
    for platform in platforms:
        command += ["--platform", platform]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    return str(json.loads(done.stdout)["install"][0]["metadata"]["version"])


def main() -> int:
    """Print the table; return 1 if a wheel is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default="3.11", help="version of Python [%(default)s]")
    options = parser.parse_args()
    print(f"| Python {options.python} | " + " | ".join(PLATFORMS) + " |")
    print("|---|" + "---|" * len(PLATFORMS))
    missing = 0
    for requirement in requirements(Path(__file__).resolve().parents[2] / "setup.cfg"):
        versions = [chosen(requirement, options.python, platforms) for platforms in PLATFORMS.values()]
        missing += versions.count(None)
        print(
            f"| {requirement} | " + " | ".join(version or "none" for version in versions) + " |", flush=True
        )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
