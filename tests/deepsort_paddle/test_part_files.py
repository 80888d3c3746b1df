import os
from pathlib import Path

import pytest

from deepsort_paddle.part_files import check_writable, commit, temporary_path


def test_publish_replaces_the_old_file_in_one_step(tmp_path: Path) -> None:
    final = tmp_path / "a.txt"
    final.write_text("old")
    temporary_path(final).write_text("new")
    commit(final)
    assert final.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="links and devices are POSIX")
def test_links_stay_links_and_devices_stay_devices(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    temporary_path(tmp_path / "link.txt").write_text("new")
    commit(tmp_path / "link.txt")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    assert temporary_path("/dev/null") == Path("/dev/null")
    commit("/dev/null")


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())
    temporary_path(tmp_path / "b.txt").write_text("left by a killed run")
    check_writable(tmp_path / "b.txt")
    assert temporary_path(tmp_path / "b.txt").read_text() == "left by a killed run"


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="expected a file name, got a folder"):
        check_writable(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check_writable(tmp_path / "absent" / "a.txt")
    with pytest.raises(OSError, match="cannot write"):
        check_writable(tmp_path / ("x" * 252))
