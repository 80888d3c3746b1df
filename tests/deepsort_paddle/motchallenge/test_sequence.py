from pathlib import Path

import pytest

from deepsort_paddle.motchallenge.sequence import SequenceInfo, is_sequence


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_sequence_info_reads_the_ini_and_finds_the_files(tmp_path: Path) -> None:
    write(
        tmp_path / "seqinfo.ini",
        "[Sequence]\nname=A%1\nimDir=pics\nframeRate=12.5\nseqLength=7\nimWidth=64\nimHeight=48\n",
    )
    write(tmp_path / "gt" / "gt.txt", "")
    (tmp_path / "pics").mkdir()
    info = SequenceInfo.read(tmp_path)
    assert (info.name, info.frame_rate, info.length, info.width, info.height) == ("A%1", 12.5, 7, 64, 48)
    assert info.images == tmp_path / "pics"
    assert info.ground_truth == tmp_path / "gt" / "gt.txt"
    assert info.detections is None


def test_sequence_info_without_ini_takes_the_folder_name(tmp_path: Path) -> None:
    folder = tmp_path / "street"
    assert not is_sequence(folder)
    write(folder / "det" / "det.txt", "")
    assert is_sequence(folder)
    info = SequenceInfo.read(folder)
    assert (info.name, info.frame_rate, info.length, info.images) == ("street", None, None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Sequence]\nframeRate=fast\n", "frameRate must be a positive number up to 10000000, got 'fast'"),
        ("[Sequence]\nseqLength=0\n", "seqLength must be a positive number"),
        ("[Sequence]\nseqLength=1e300\n", "seqLength must be a positive number up to 10000000"),
        ("[Other]\n", r"no section \[Sequence\]"),
        ("nonsense", "not a readable ini file"),
    ],
)
def test_a_faulty_ini_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "seqinfo.ini", text)
    with pytest.raises(ValueError, match=message) as caught:
        SequenceInfo.read(tmp_path)
    assert str(path) in str(caught.value)
