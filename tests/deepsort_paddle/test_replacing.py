from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from deepsort_paddle.part_files import replacing, writing


def test_a_full_disk_is_told_with_the_file(tmp_path):
    path = tmp_path / "report.json"
    with pytest.raises(OSError, match=r"report.json: not written: No space left on device$"), writing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_write_that_the_system_cuts_off_is_told_with_the_file(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "report.json"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match=r"report.json: not written: File too large"), writing(path):
            path.write_text("x" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_other_errors_and_own_words_pass(tmp_path):
    with pytest.raises(OSError, match=r"^cannot be read$"), writing(tmp_path):
        raise OSError("cannot be read")
    with pytest.raises(ValueError, match="^bad$"), writing(tmp_path):
        raise ValueError("bad")
    with writing(tmp_path):
        (tmp_path / "fine").write_text("")


def test_a_file_takes_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "list.txt"
    for content in (b"one", b"two"):
        with replacing(path) as file:
            file.write(content)
            file.flush()
            assert (tmp_path / "list.txt.part").read_bytes() == content
            assert path.exists() == (content == b"two")
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_what_goes_wrong_leaves_the_older_file_and_no_rubbish(tmp_path, error):
    path = tmp_path / "list.txt"
    path.write_bytes(b"old")
    with pytest.raises(type(error)) as raised, replacing(path, "list not written") as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(error, OSError):
        assert str(raised.value) == f"{path}: list not written: No space left on device"


@pytest.mark.skipif(os.name != "posix", reason="devices are POSIX")
def test_a_device_is_written_to_and_stays():
    with replacing("/dev/null") as file:
        file.write(b"anything")
    assert Path("/dev/null").is_char_device()
    assert not Path("/dev/null.part").exists()
