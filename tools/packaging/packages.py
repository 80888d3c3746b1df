"""Build wheel and source distribution, install each into a fresh environment, track the demo clip there.

The checkout is not importable while tracking: another folder, no PYTHONPATH. Each environment tracks
with opencv-python, then with opencv-python-headless in its place, as docs/install.md says.
Every run must write the same tracks. Packages come from the index that pip is set up for.

    python tools/packaging/packages.py                                    # this Python
    python tools/packaging/packages.py --python python3.10 python3.13     # others
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADLESS = "opencv-python-headless>=4.8,<5"
# Without Paddle: all modules of the tracker, and the trainer's sub-packages are there.
IMPORT_ALL = """
import importlib, importlib.util, pkgutil
import deepsort_paddle, reid_train
for found in pkgutil.walk_packages(deepsort_paddle.__path__, "deepsort_paddle."):
    importlib.import_module(found.name)
folders = [found.name for found in pkgutil.iter_modules(reid_train.__path__) if found.ispkg]
assert len(folders) > 5, folders
assert all(importlib.util.find_spec(f"reid_train.{name}") for name in folders)
"""
FACTS = (
    "import sys, cv2, deepsort_paddle, importlib.metadata as m; "
    "found = [d.metadata['Name'] for d in m.distributions() if d.metadata['Name'].startswith('opencv')]; "
    "print(sys.version.split()[0], '+'.join(sorted(found)), cv2.__version__, deepsort_paddle.__file__)"
)


def run(*command: str | Path, folder: Path) -> str:
    """Run a command without the checkout in its environment; return its output or end the script."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(python: str, place: Path, *packages: str | Path) -> Path:
    """Create a virtual environment with some packages; return the folder of its programs."""
    run(python, "-m", "venv", place, folder=place.parent)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    run(programs / "python", "-m", "pip", "install", "--quiet", *packages, folder=place.parent)
    return programs


def tracked(programs: Path, folder: Path) -> str:
    """Track the clip with every output; return the hash of the tracks."""
    words = ["street.mp4", "--detections", "street/det/det.txt", "--quiet", "--output", "tracks.txt"]
    words += ["--save-video", "tracks.mp4", "--report", "report.html", "--json", "tracks.json"]
    run(programs / "deepsort-track", *words, folder=folder)
    run(programs / "deepsort-eval", "street/gt/gt.txt", "tracks.txt", folder=folder)
    run(programs / "reid-train", "--help", folder=folder)
    return hashlib.sha256((folder / "tracks.txt").read_bytes()).hexdigest()[:12]


def checks(pythons: list[str], folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the installed archive, the versions of the environment and the hash of its tracks."""
    tools = environment(sys.executable, folder / "build", "build")
    run(tools / "python", "-m", "build", ROOT, "--outdir", folder / "dist", folder=folder)
    for number, python in enumerate(pythons):
        for path in sorted((folder / "dist").iterdir()):
            programs = environment(python, folder / f"{number}{path.suffix}", f"{path}[report]")
            inside = programs / "python"
            run(inside, "-I", "-c", IMPORT_ALL, folder=folder)
            for headless in (False, True):
                if headless:
                    pip = (inside, "-m", "pip", "--quiet")
                    run(*pip, "uninstall", "--yes", "opencv-python", folder=folder)
                    run(*pip, "install", "--force-reinstall", "--no-deps", HEADLESS, folder=folder)
                version, opencv, number_of_it, place = run(inside, "-I", "-c", FACTS, folder=folder).split()
                if not Path(place).is_relative_to(folder):
                    sys.exit(f"the package came from {place}, not from the environment")
                yield path.name, f"Python {version}, {opencv} {number_of_it}", tracked(programs, folder)


def main() -> int:
    """Print the table; return 1 if the tracks differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python", nargs="+", default=[sys.executable], metavar="PROGRAM", help="[this Python]"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the demo clip [%(default)s]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        script = ROOT / "demo" / "make_clip.py"
        words = [sys.executable, str(script), str(folder), "--seconds", str(options.seconds)]
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        subprocess.run(words, env={**os.environ, "PYTHONPATH": paths}, check=True)
        print("| installed | environment | tracks, SHA-256 |\n|---|---|---|")
        hashes = set()
        for row in checks(options.python, folder):
            print(f"| {' | '.join(row)} |", flush=True)
            hashes.add(row[-1])
    return 0 if len(hashes) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
