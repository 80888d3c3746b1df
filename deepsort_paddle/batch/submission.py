"""The archive for the MOTChallenge server: one ``SEQUENCE.txt`` with the results of each sequence."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from deepsort_paddle.batch.video_result import VideoResult
from deepsort_paddle.part_files import check_absent, check_writable, replacing
from deepsort_paddle.plan.batch_plan import BatchPlan

__all__ = ["check_submission", "write_submission"]

# MOT17 has each sequence with the boxes of three detectors; the server expects all of them.
_MOT17 = re.compile(r"(MOT17-\d\d)(-DPM|-FRCNN|-SDP)?")
_DETECTORS = ("-DPM", "-FRCNN", "-SDP")


def check_submission(batch: BatchPlan) -> None:
    """Check before the first frame that the archive can be written.

    Raises:
        OSError: it cannot be written, or it exists and ``overwrite`` is not set.
        ValueError: it has another suffix, or the run writes no results as text.
    """
    path = str(batch.submission)
    if Path(path).suffix.lower() != ".zip":
        raise ValueError(f"--submission {path}: expected a name that ends in .zip")
    if not (batch.run.output or batch.run.save_dir):
        raise ValueError("--submission needs the results as text: add --output 'FOLDER/{name}.txt'")
    if batch.run.tracks_several_classes:
        raise ValueError("--submission works with one class only: choose it with --classes")
    if not (batch.run.overwrite or zipfile.is_zipfile(path)):
        check_absent(path, "--submission")
    if Path(path).parent.is_dir() or Path(path).parent != batch.folder:
        check_writable(path)


def write_submission(
    path: str | Path, results: Sequence[VideoResult], *, overwrite: bool = False
) -> list[str]:
    """Write the archive, unless it already has the same content.

    A result named ``MOT17-01``, from your own detector, is written for all three detectors.

    Args:
        path: the ``.zip`` file.
        results: the results of all sequences.
        overwrite: whether an archive with other results may be replaced.

    Returns:
        Warnings about what the server may reject, one line each.

    Raises:
        OSError: a file cannot be read or written, or the archive exists and holds other results.
        ValueError: a sequence has no results.
    """
    failed = [result.name for result in results if not result.status.startswith("done")]
    if failed:
        raise ValueError(f"{path} is not written: {', '.join(failed)} failed")
    files: dict[str, Path] = {}
    for result in results:
        text = next((Path(file) for file in result.files if file.endswith(".txt")), None)
        if text is None:
            raise ValueError(f"{path} is not written: {result.name} has no results as text")
        for name in _names(result.name):
            files[f"{name}.txt"] = text
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, file in sorted(files.items()):
            # ZipInfo has a fixed date: the same results give the same archive.
            archive.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    if not overwrite and not (Path(path).is_file() and Path(path).read_bytes() == content.getvalue()):
        check_absent(path, "--submission")
    with replacing(path) as target:
        target.write(content.getvalue())
    return _notes(files)


def _names(name: str) -> list[str]:
    """Return the names under which a result is written."""
    known = _MOT17.fullmatch(name)
    return [name + detector for detector in _DETECTORS] if known and known[2] is None else [name]


def _notes(files: dict[str, Path]) -> list[str]:
    """Return warnings about MOT17 sequences that lack one of the three detectors."""
    names = {file.removesuffix(".txt") for file in files}
    found = {known[1] for name in names if (known := _MOT17.fullmatch(name))}
    missing = sorted(name + end for name in found for end in _DETECTORS if name + end not in names)
    if not missing:
        return []
    return [f"the server expects all three detectors of MOT17; missing: {', '.join(missing)}"]
