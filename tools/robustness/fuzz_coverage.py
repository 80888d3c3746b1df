"""Fuzz the kinds of files of `fuzz.py`, guided by coverage: atheris keeps damages that reach new code.

    pip install atheris        # Linux and macOS, in an environment that has this package
    python tools/robustness/fuzz_coverage.py --seconds 120 --keep findings
    python tools/robustness/fuzz_coverage.py --only encoder.json --corpus corpus     # continues

Each kind runs in a separate process and starts from the valid file and a libFuzzer dictionary with the
boundary values of `fuzz.py`. As there, each input must give a result or a one-line error. A finding does not
end the run; a crash of the process, or more than 2 GB of memory, ends that kind and is also a finding.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def fuzz_one_kind(name: str, corpus: Path, keep: Path, limit: int, seconds: int, seed: int) -> None:
    """Fuzz a kind in this process; libFuzzer ends the process."""
    import atheris

    beside = Path(tempfile.mkdtemp(dir=keep))
    with atheris.instrument_imports(include=["deepsort_paddle", "reid_train"]):
        import fuzz

        kind = next(kind for kind in fuzz.kinds(beside) if kind.name == name)  # imports the rest
    fuzz.cv2.utils.logging.setLogLevel(fuzz.cv2.utils.logging.LOG_LEVEL_SILENT)
    (corpus / "valid").write_bytes(kind.content)
    words = keep / "words.dict"
    words.write_text("".join(f'"{escaped(word)}"\n' for word in fuzz.TELLING if 0 < len(word) <= 64))
    found: set[str] = set()

    def try_input(content: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=beside) as folder:
            path = Path(folder, kind.name)
            path.write_bytes(content)
            fault = fuzz.fault_of(kind, path, limit)
        if fault is None:
            return
        what = fault.strip().splitlines()[-1][:200] + fault[-400:]
        what = re.sub(r"\d+", "N", what)
        if what not in found:
            found.add(what)
            (keep / f"{name}.{len(found)}.input").write_bytes(content)
            (keep / f"{name}.{len(found)}.txt").write_text(fault)

    options = [f"-max_total_time={seconds}", f"-seed={seed + 1}", f"-dict={words}", "-timeout=0"]
    options += ["-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={keep}/{name}.crash-"]
    options += [f"-max_len={max(4096, 2 * len(kind.content))}", str(corpus)]
    atheris.Setup([sys.argv[0], *options], try_input)
    atheris.Fuzz()


def escaped(word: bytes) -> str:
    """Format an entry of libFuzzer's dictionary."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def figure(pattern: str, output: str) -> int:
    """Return the last number that a pattern finds in libFuzzer's messages; 0 if there is none."""
    return int((re.findall(pattern, output) or ["0"])[-1])


def main() -> int:
    """Fuzz every kind; return 1 if there was a finding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each kind [%(default)s]")
    parser.add_argument("--only", default="", help="kinds whose name contains this")
    parser.add_argument("--limit", type=int, default=10, help="CPU seconds for one input [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of libFuzzer [%(default)s]")
    parser.add_argument("--corpus", type=Path, help="folder of inputs that reached new code, kept and reused")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        name, corpus, keep = options.child
        fuzz_one_kind(name, Path(corpus), Path(keep), options.limit, options.seconds, options.seed)
    import fuzz

    total = 0
    print(f"{'kind':24} {'inputs':>8} {'edges':>6} {'corpus':>7} {'MB':>5} {'findings':>9}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary, "seeds").mkdir()
        names = [kind.name for kind in fuzz.kinds(Path(temporary, "seeds")) if options.only in kind.name]
        for name in names:
            corpus = (options.corpus or Path(temporary, "corpus")) / name
            keep = Path(temporary, "keep", name)
            corpus.mkdir(parents=True, exist_ok=True)
            keep.mkdir(parents=True)
            command = [sys.executable, __file__, "--child", name, str(corpus), str(keep)]
            command += ["--limit", str(options.limit), "--seed", str(options.seed)]
            command += ["--seconds", str(options.seconds)]
            done = subprocess.run(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False)
            said = done.stderr.decode(errors="replace")
            faults = sorted(keep.glob(f"{name}.*.txt"))
            count = len(faults) + (done.returncode != 0)
            total += count
            print(
                f"{name:24} {figure('number_of_executed_units: ([0-9]+)', said):8} "
                f"{figure('cov: ([0-9]+)', said):6} {len(list(corpus.iterdir())):7} "
                f"{figure('peak_rss_mb: *([0-9]+)', said):5} {count:9}",
                flush=True,
            )
            for path in faults:
                print("   ", path.read_text().strip().replace("\n", "\n    "))
            if done.returncode:
                print("   ", "\n    ".join(said.strip().splitlines()[-15:]))
            if count and options.keep is not None:
                options.keep.mkdir(parents=True, exist_ok=True)
                for path in keep.glob(f"{name}.*"):
                    (options.keep / path.name).write_bytes(path.read_bytes())
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
