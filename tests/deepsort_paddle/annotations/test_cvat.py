"""CVAT's XML: what it means, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.annotations.cvat import CvatFile, CvatTrack, read_cvat, write_cvat

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task><original_size>'
    "<width>200</width><height>120</height></original_size></task></meta>"
)


def box(frame: int | str, left: float | str = 10, outside: int = 0, more: str = "") -> str:
    return (
        f'<box frame="{frame}" xtl="{left}" ytl="20" xbr="60" ybr="100" outside="{outside}" occluded="0" '
        f'keyframe="1" {more}></box>'
    )


def document(*boxes: str, label: str = "person") -> str:
    return f'{HEAD}<track id="7" label="{label}" source="manual">{"".join(boxes)}</track></annotations>'


def read(text: str) -> CvatFile:
    return read_cvat(io.BytesIO(text.encode()), "a.xml")


def test_boxes_between_key_frames_lie_on_a_line_and_end_where_the_person_is_outside() -> None:
    content = read(document(box(0, 10), box(4, 18), box(6, 18, outside=1), box(8, 30)))
    (track,) = content.tracks
    assert content.size == (200, 120)
    assert (track.name, track.label, track.last) == ("7", "person", 8)
    places, boxes = track.at(np.arange(12))
    assert places.tolist() == [0, 1, 2, 3, 4, 5, 8]
    assert boxes[:, 0].tolist() == [10, 12, 14, 16, 18, 18, 30]
    assert boxes[:, 2].tolist() == [60] * 7
    places, boxes = track.at(np.array([2, 8]))  # the frames of a run with a stride
    assert places.tolist() == [0, 1]
    assert boxes[:, 0].tolist() == [14, 30]


def test_a_written_file_reads_back() -> None:
    track = CvatTrack(
        "3",
        'a <person> & "co"',
        np.array([2, 9, 10]),
        np.array([[1.25, 2.5, 30, 40], [5, 6.75, 70, 80], [5, 6.75, 70, 80]]),
        np.array([False, False, True]),
        np.array([True, False, False]),
    )
    file = io.StringIO()
    write_cvat(file, [track], name="<a>\x00.mp4", frames=11, size=(200, 120), labels=["a <person>"])
    again = read(file.getvalue())
    assert again.size == (200, 120)
    for name in CvatTrack.__slots__:
        assert np.array_equal(getattr(again.tracks[0], name), getattr(track, name)), name
    empty = io.StringIO()
    write_cvat(empty, [], name="a", frames=0, size=None, labels=[])
    assert read(empty.getvalue()) == CvatFile(())


OTHER_SIZE = "<original_size><width>300</width><height>120</height></original_size>"
LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "broken XML"),
        ("no XML", "broken XML"),
        (document(box(0))[:-20], "broken XML"),
        ("<html></html>", "expected CVAT annotations, got <html>: export the task"),
        (LAUGHS + document(box(0)), "expected no document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations></annotations>', "expected no document type"),
        ('<annotations><image id="0"></image></annotations>', "boxes of single images without tracks"),
        (document('<polygon frame="0" points="1,2;3,4"></polygon>'), "expected boxes, got a polygon"),
        (document('<box frame="0" xtl="1"></box>'), "track 7: a box has no ytl"),
        (document(box("x")), "track 7: a box has a wrong number"),
        (document(box(-1)), "expected a frame from 0 to"),
        (document(box(10**9)), "expected a frame from 0 to"),
        (document(box(0, "nan")), "expected coordinates in pixels"),
        (document(box(0, 1e12)), "expected coordinates in pixels"),
        (document(box(0, 60)), "frame 0: expected a box with an area"),
        (document(box(0, more='rotation="12.5"')), "expected an upright box"),
        (document(box(3), box(3)), "track 7 has two boxes in frame 3"),
        ("<annotations><track></track></annotations>", "track 0 has no label"),
        (document(box(0)).replace("<width>200", "<width>-1"), "original_size must be whole numbers"),
        (document(box(0)).replace("<task>", f"<task>{OTHER_SIZE}"), "expected frames of one size"),
    ],
)  # fmt: skip
def test_what_is_no_annotation_of_a_video_is_refused_in_one_line(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r"^a\.xml") as error:
        read(text)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_annotations_of_two_tasks_are_refused() -> None:
    tracks = "".join(f'<track id="0" label="person" task_id="{task}"></track>' for task in (1, 2))
    with pytest.raises(ValueError, match="annotations of one task, got several"):
        read(f"{HEAD}{tracks}</annotations>")


def test_a_large_file_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(document(*(box(frame) for frame in range(3000))))
    with path.open("rb") as file:
        (track,) = read_cvat(file, "a.xml").tracks
    assert len(track.frames) == 3000


def test_an_unknown_encoding_and_too_many_tracks_are_refused() -> None:
    with pytest.raises(ValueError, match="broken XML .*foo"):
        read('<?xml version="1.0" encoding="foo"?><annotations></annotations>')
    tracks = '<track label="person"></track>' * 100_001
    with pytest.raises(ValueError, match="more than 100,000 tracks"):
        read(f"<annotations>{tracks}</annotations>")
