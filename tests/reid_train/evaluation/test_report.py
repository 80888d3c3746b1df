from __future__ import annotations

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_train.data.image_index import ImageIndex
from reid_train.evaluation.figures import market_figures, query_rows
from reid_train.evaluation.ranking import RankingFigures
from reid_train.evaluation.report import evaluate, evaluate_embeddings
from reid_train.evaluation.report_page import report_page
from reid_train.evaluation.reranking import rerank

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    paddle = pytest.importorskip("paddle")


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_set(seed, count, name):
    """Return an index of missing files, and unit rows around one centre per person."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((12, 8))
    pids, camids = rng.integers(-1, 12, count), rng.integers(1, 4, count)
    paths = tuple(Path(f"{name}_{row:04d}.jpg") for row in range(count))
    return ImageIndex(paths, pids, camids), unit(centres[pids] + 0.7 * rng.standard_normal((count, 8)))


def test_report_of_two_sets_holds_the_protocols_figures():
    query, query_rows_ = random_set(0, 40, "query")
    gallery, gallery_rows = random_set(1, 150, "gallery")
    report = evaluate_embeddings(query_rows_, query, gallery_rows, gallery)
    plain = market_figures(query_rows_, query.pids, query.camids, gallery_rows, gallery.pids, gallery.camids)
    assert report.market is not None
    assert report.market == plain
    assert (report.query_images, report.gallery_images, report.embedding_size) == (40, 150, 8)
    assert report.junk == np.sum(gallery.pids == -1)
    assert report.distractors == np.sum(gallery.pids == 0)
    assert report.skipped_queries == 40 - plain.queries
    assert report.query_ids == len(set(query.pids.tolist()) - {-1, 0})
    assert report.cmc[0] == pytest.approx(plain.rank1, abs=1e-6)
    assert report.cmc[-1] == 1.0
    assert len(report.cmc) == 1 or report.cmc[-2] < 1.0
    assert report.recall.images == np.sum(query.pids > 0) + np.sum(gallery.pids > 0)
    assert report.notes == report.images == ()


def test_reranked_figures_are_those_of_reranked_distances_without_junk():
    query, query_embeddings = random_set(2, 30, "query")
    gallery, gallery_embeddings = random_set(3, 120, "gallery")
    report = evaluate_embeddings(query_embeddings, query, gallery_embeddings, gallery)
    kept = gallery.pids != -1
    distances = rerank(query_embeddings, gallery_embeddings[kept])
    pids, camids = gallery.pids[kept], gallery.camids[kept]
    precisions = []
    for row in np.flatnonzero(query.pids > 0):
        allowed = ~((pids == query.pids[row]) & (camids == query.camids[row]))
        order = np.argsort(distances[row][allowed], kind="stable")
        positions = np.flatnonzero(pids[allowed][order] == query.pids[row]) + 1
        if len(positions):
            precisions.append(np.mean(np.arange(1, len(positions) + 1) / positions))
    assert report.reranked is not None
    assert report.reranked.mean_ap == pytest.approx(np.mean(precisions), abs=1e-9)
    assert report.reranked.queries == report.market.queries
    assert report.reranked_cmc[-1] == 1.0


def test_queries_from_the_gallery_count_once():
    index, embeddings = random_set(4, 100, "image")
    rows = query_rows(index)
    report = evaluate_embeddings(embeddings[rows], index[rows], embeddings, index)
    assert report.recall.images == np.sum(index.pids > 0)
    # With unknown cameras only the path identifies the query image in the gallery.
    unknown = ImageIndex(index.paths, index.pids, np.zeros(100, np.int64))
    rows = query_rows(unknown)
    report = evaluate_embeddings(embeddings[rows], unknown[rows], embeddings, unknown)
    assert report.market.rank1 < 1.0
    assert report.reranked is not None
    assert report.reranked.rank1 < 1.0


def test_unknown_cameras_give_a_note_and_no_protocol_name():
    index, embeddings = random_set(8, 80, "image")
    unknown = ImageIndex(index.paths, index.pids, np.where(np.arange(80) < 3, 0, index.camids))
    rows = query_rows(unknown)
    report = evaluate_embeddings(embeddings[rows], unknown[rows], embeddings, unknown)
    assert report.unknown_cameras == np.sum(index.pids[:3] > 0) > 0
    assert "Market-1501" not in report.protocol
    assert report.notes[0].startswith(f"cameras unknown ({report.unknown_cameras} of 80 images)")
    page = report_page(report, {}, {})
    assert "<b>Note:</b> cameras unknown" in page
    assert "Market-1501 protocol" not in page
    assert (
        evaluate_embeddings(embeddings[:5], index[:5], embeddings, index).protocol == "Market-1501 protocol"
    )


def test_reranking_beyond_the_memory_limit_is_skipped_with_a_note():
    index, embeddings = random_set(5, 60, "image")
    rows = query_rows(index)
    report = evaluate_embeddings(embeddings[rows], index[rows], embeddings, index, rerank_memory=2**20)
    assert report.reranked is None
    assert report.reranked_cmc == ()
    assert len(report.notes) == 1
    assert "re-ranking skipped" in report.notes[0]
    assert "the limit is 0.0 GiB" in report.notes[0]
    assert evaluate_embeddings(embeddings[rows], index[rows], embeddings, index, rerank=False).notes == ()


def test_a_set_with_one_camera_still_has_its_recall(tmp_path):
    index, embeddings = random_set(7, 60, "image")
    index = ImageIndex(index.paths, index.pids, np.ones(60, np.int64))
    rows = query_rows(index)
    report = evaluate_embeddings(embeddings[rows], index[rows], embeddings, index, plots=tmp_path / "p")
    assert report.market is None
    assert report.reranked is None
    assert report.cmc == report.reranked_cmc == ()
    assert report.skipped_queries == len(rows)
    assert 0 < report.recall.recall1 <= 1
    assert report.notes == (
        "metrics of the Market-1501 protocol skipped: "
        "no query has an image of its person from another camera in the gallery",
    )
    assert report.images == ("distances.png",)
    assert (tmp_path / "p" / "distances.png").is_file()


def test_report_goes_through_json():
    index, embeddings = random_set(6, 60, "image")
    rows = query_rows(index)
    report = evaluate_embeddings(embeddings[rows], index[rows], embeddings, index)
    back = json.loads(json.dumps(report.as_dict()))
    assert RankingFigures(**back["market"]) == report.market
    assert RankingFigures(**back["reranked"]) == report.reranked
    assert back["cmc"] == list(report.cmc)
    assert back["distances"]["same_pairs"] == report.distances.same_pairs


class MeanColour(paddle.nn.Layer):
    embedding_size = 3

    def forward(self, images):
        return paddle.cast(images, "float32").mean([1, 2])


@pytest.fixture
def coloured(tmp_path):
    """Three persons in one colour each, two cameras, two images each; the fourth person is a distractor."""
    paths, pids, camids = [], [], []
    rng = np.random.default_rng(0)
    for pid, colour in enumerate([(90, 90, 90), (200, 30, 30), (30, 200, 30), (30, 30, 200)]):
        for camid in (1, 2):
            for number in (1, 2):
                path = tmp_path / f"{pid:04d}_c{camid}_{number}.png"
                noise = rng.integers(-15, 16, (32, 16, 3))
                cv2.imwrite(str(path), np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))
                paths.append(path)
                pids.append(pid)
                camids.append(camid)
    return ImageIndex(tuple(paths), np.array(pids), np.array(camids))


def test_a_network_is_evaluated_on_files_with_plots(tmp_path, coloured):
    rows = query_rows(coloured)
    folder = tmp_path / "new" / "plots"
    report = evaluate(
        MeanColour(),
        coloured[rows],
        coloured,
        lambda image: cv2.resize(image, (8, 16)),
        plots=folder,
        threshold=0.2,
    )
    assert report.market == RankingFigures(1.0, 1.0, 1.0, 1.0, 1.0, 6)
    assert report.recall.recall1 == 1.0
    assert report.cmc == (1.0,)
    assert (report.distractors, report.query_ids) == (4, 3)
    assert sorted(path.name for path in folder.iterdir()) == sorted(report.images)
    assert set(report.images) == {"rank_lists.png", "rank_lists_worst.png", "cmc.png", "distances.png"}
    for path in folder.iterdir():
        assert cv2.imread(str(path)) is not None


def test_an_unreadable_image_stops_an_evaluation(tmp_path, coloured):
    coloured.paths[5].write_bytes(b"")
    with pytest.raises(ValueError, match=f"{coloured.paths[5].name}: not a readable image"):
        evaluate(MeanColour(), coloured, coloured, lambda image: image)
