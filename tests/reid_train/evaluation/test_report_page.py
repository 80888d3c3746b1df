from __future__ import annotations

import base64
import html.parser
import re

import cv2
import numpy as np
import pytest

from reid_train.command_line import main
from reid_train.data.datasets import ImageIndex
from reid_train.evaluation.report import evaluate_embeddings
from reid_train.evaluation.report_page import report_page, write_report_page


@pytest.fixture
def index(tmp_path) -> ImageIndex:
    """Two persons in two cameras, two images each."""
    paths = []
    for number in range(8):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((32, 16, 3), 30 * number, np.uint8))
        paths.append(path)
    return ImageIndex(tuple(paths), np.repeat([1, 2], 4), np.tile([1, 1, 2, 2], 2))


@pytest.fixture
def embeddings() -> np.ndarray:
    """Person 1 is matched at rank 1; the last image of person 2 resembles person 1."""
    rows = np.repeat(np.eye(2, dtype=np.float32), 4, axis=0)
    rows[7] = rows[0]
    return rows


def evaluate(index, embeddings, folder, **options):
    return evaluate_embeddings(embeddings, index, embeddings, index, plots=folder, **options)


class Links(html.parser.HTMLParser):
    """Collect everything that a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href")]


def test_the_page_embeds_metrics_and_plots_and_fetches_nothing(tmp_path, index, embeddings):
    path = tmp_path / "new" / "report.html"
    report = write_report_page(path, lambda folder: evaluate(index, embeddings, folder), {"network": "mine"})
    page = path.read_text("utf-8")
    assert "<h1>Evaluation of mine</h1>" in page
    assert f'<td class="number">{report.market.rank1:.2%}</td>' in page
    assert f'<td class="number">{report.reranked.mean_ap:.2%}</td>' in page
    assert f'<td class="number">{report.recall.recall1:.2%}</td>' in page
    links = Links(page).found
    assert len(links) == len(report.images) == 4
    for link in links:
        kind, content = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", link).groups()
        image = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
        assert min(image.shape[:2]) > 100, kind
    assert "default-src 'none'" in page
    assert not (tmp_path / "new" / "report.html.part").exists()


def test_plots_are_kept_in_a_named_folder(tmp_path, index, embeddings):
    folder = tmp_path / "plots"
    report = write_report_page(
        tmp_path / "r.html", lambda folder: evaluate(index, embeddings, folder), {}, plots=folder
    )
    assert sorted(path.name for path in folder.iterdir()) == sorted(report.images)


def test_without_ranking_figures_the_page_says_why(tmp_path, index, embeddings):
    one_camera = ImageIndex(index.paths, index.pids, np.ones(8, np.int64))
    report = evaluate(one_camera, embeddings, tmp_path / "p")
    page = report_page(report, {"distances.png": b"png"}, {})
    assert "<b>Note:</b> metrics of the Market-1501 protocol skipped" in page
    assert "Rank lists" not in page
    assert "Recall@Rank-1" in page


def test_the_page_fits_a_telephone(tmp_path, index, embeddings, telephone):
    path = tmp_path / "report.html"
    write_report_page(path, lambda folder: evaluate(index, embeddings, folder), {"network": "mine"})
    telephone.get(path.as_uri())
    assert telephone.execute_script("return document.documentElement.scrollWidth") <= 390
    for heading in telephone.find_elements("css selector", "th"):
        assert heading.rect["height"] < 70, f"{heading.text} breaks between letters"


def test_names_are_escaped(tmp_path, index, embeddings):
    report = evaluate(index, embeddings, tmp_path / "p", rerank=False)
    page = report_page(report, {}, {"network": "<script>alert(1)</script>", "data": '"&<'})
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "&#34;&amp;&lt;" in page


def test_an_existing_page_is_kept_if_the_evaluation_fails(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")

    def broken(folder):
        raise ValueError("no images")

    with pytest.raises(ValueError, match="no images"):
        write_report_page(path, broken, {})
    assert path.read_text() == "old"
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_report_page(tmp_path, broken, {})


def test_the_command_writes_the_page(write_people, tiny_models, monkeypatch, tmp_path, capsys):
    from reid_train.models import MODELS

    for name, backbone in tiny_models.items():
        monkeypatch.setitem(MODELS, name, backbone)
    people = write_people(tmp_path / "people", ids=4, each=4)
    strangers = write_people(tmp_path / "strangers", ids=3, each=4, first=50)
    run = ["--model_save_dir", str(tmp_path / "run"), "--model", "Plain", "--embedding_size", "6"]
    run += ["--image_shape", "3,16,16", "--train_batch_size", "8", "--total_iter_num", "1"]
    assert main(["elem", "--train", str(people), *run]) == 0
    page = tmp_path / "eval.html"
    arguments = ["--pretrained_model", str(tmp_path / "run"), "--data", str(strangers), "--report", str(page)]
    assert main(["eval", *arguments]) == 0
    out = capsys.readouterr().out
    assert f"written: {page}" in out
    rank1 = re.search(r"rank-1 ([\d.]+%)", out)
    assert rank1 is not None
    assert rank1[1] in page.read_text("utf-8")
    assert str(tmp_path) not in page.read_text("utf-8")
    assert main(["eval", *arguments[:-1], str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
