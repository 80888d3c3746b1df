"""Files fetched once into the user's cache, verified before every use.

A download grows as ``NAME.part`` and is renamed when size and SHA-256 are right, so that a file under its own
name is always whole. A broken download is resumed. A lock lets one process download while others wait.
Proxies come from the environment (``http_proxy``, ``https_proxy``, ``no_proxy``).

pooch was weighed: it cannot resume, since it removes the partial file after any error, and it compares the
hash alone. What would be left of it is the name of the cache folder.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from tqdm import tqdm

from deepsort_paddle.user_cache import cache_folder

__all__ = ["Asset", "DownloadError", "cache_folder", "fetch"]

# Seconds without a byte after which a server counts as stalled.
STALL_SECONDS = 15.0
_CHUNK = 2**16
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


class DownloadError(OSError):
    """A file could not be fetched; the message has its address and the place for it."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file on a server, pinned.

    Attributes:
        name: what users call it.
        url: its address.
        size: bytes.
        sha256: of its content, in hexadecimal.
    """

    name: str
    url: str
    size: int
    sha256: str

    def is_intact(self, path: Path) -> bool:
        """Whether ``path`` holds exactly this file."""
        try:
            return path.stat().st_size == self.size and _sha256(path) == self.sha256
        except (FileNotFoundError, NotADirectoryError):
            return False


def fetch(asset: Asset, path: Path, *, download: bool = True, stall_seconds: float = STALL_SECONDS) -> Path:
    """Return ``path`` once it holds the asset; download it where it does not.

    Args:
        asset: the file to download.
        path: where it is stored.
        download: whether it may be downloaded.
        stall_seconds: a server that sends nothing for this long has stalled.

    Raises:
        DownloadError: the file is not there, and cannot be downloaded or may not.
    """
    if asset.is_intact(path):
        return path
    if not download:
        state = "is damaged" if path.exists() else "is not there"
        raise _failure(asset, path, f"{path} {state}, and downloads are off")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            if not asset.is_intact(path):  # another process may have fetched it
                _download(asset, path, stall_seconds)
    except OSError as error:
        if isinstance(error, DownloadError):
            raise
        full = error.errno in _FULL
        reason = f"{path.parent} is full" if full else f"{path.parent}: {error.strerror or error}"
        raise _failure(asset, path, reason) from error
    return path


def _download(asset: Asset, path: Path, stall_seconds: float) -> None:
    """Fetch an asset as a part file, verify it and give it its name."""
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    if have > asset.size:
        part.unlink()
        have = 0
    while True:
        if have < asset.size:
            reason = _append(asset, part, have, stall_seconds)
            now = part.stat().st_size if part.exists() else 0
            if now < asset.size:
                if reason is None and now > have:  # the connection broke: resume
                    have = now
                    continue
                raise _failure(asset, path, reason or "the server sent nothing")
        if asset.is_intact(part):
            part.replace(path)
            return
        got = _sha256(part)
        part.unlink()
        if not have:
            raise _failure(asset, path, f"the file has sha256 {got}, expected {asset.sha256}")
        have = 0  # what was resumed may have been another file's beginning


def _append(asset: Asset, part: Path, have: int, stall_seconds: float) -> str | None:
    """Download what is missing of a part file; returns why it failed, None where the connection ended."""
    headers = {"User-Agent": "deepsort-paddle"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        request = urllib.request.Request(asset.url, headers=headers)
        # A new opener: the global one keeps the proxies of the first call.
        with urllib.request.build_opener().open(request, timeout=stall_seconds) as response:
            resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            )
            start = have if resumed else 0
            length = response.headers.get("Content-Length", "")
            if length.isdecimal() and start + int(length) != asset.size:
                return f"the server offers {start + int(length)} bytes, expected {asset.size}"
            with part.open("ab" if resumed else "wb") as file:
                return _copy(response, file, asset, start)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            part.unlink()
            return _append(asset, part, 0, stall_seconds)
        return f"the server answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        return f"no connection ({error.reason})"
    except TimeoutError:
        return f"the server sent nothing for {stall_seconds:g} s (the next run resumes)"
    except (http.client.HTTPException, ConnectionError) as error:
        return None if part.exists() and part.stat().st_size > have else f"no connection ({error!r})"
    except ValueError as error:
        return f"not an address ({error})"


def _copy(response: http.client.HTTPResponse, file: BinaryIO, asset: Asset, start: int) -> str | None:
    """Write what a server sends; returns why it is wrong, else None."""
    done = start
    with tqdm(
        desc=asset.name, total=asset.size, initial=start, unit="B", unit_scale=True, leave=False, disable=None
    ) as bar:
        while chunk := response.read1(_CHUNK):
            done += len(chunk)
            if done > asset.size:
                return f"the server sends more than the expected {asset.size} bytes"
            file.write(chunk)
            bar.update(len(chunk))
    return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _failure(asset: Asset, path: Path, reason: str) -> DownloadError:
    return DownloadError(f"cannot get {asset.name}: {reason}; download {asset.url} and save it as {path}")
