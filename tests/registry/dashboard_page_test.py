import re
import xml.etree.ElementTree as ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from registry import formatting
from registry.catalog import Move, Version
from registry.dashboard_page import dashboard, pareto_front
from registry.overview import pages_of
from registry.record import read_record
from tests.registry.registration_files import write_files, written
from tools.documents.report import Report

_FIGURE = st.integers(1, 4)


def _version(number, size=1.0, latency=1.0, cosine=1.0, aliases=(), scheme="int8", **left_out):
    metrics = {"size_bytes": size, "latency_p50_ms": latency, "cosine_mean/scores": cosine}
    return Version(
        name="face",
        number=number,
        tags={"scheme": scheme, "version": "1.0.0"},
        aliases=aliases,
        created_ms=0,
        run_id=str(number),
        metrics={key: value for key, value in metrics.items() if value is not None},
    )


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(_FIGURE, _FIGURE, _FIGURE), max_size=12))
def test_front_is_what_no_other_version_beats(figures):
    versions = [_version(number, *each) for number, each in enumerate(figures, start=1)]
    front = pareto_front(versions)

    def beats(a, b):
        worse = a[0] > b[0] or a[1] > b[1] or a[2] < b[2]
        return a != b and not worse

    for number, own in enumerate(figures, start=1):
        assert (number in front) == (not any(beats(other, own) for other in figures))


def test_what_was_not_measured_is_not_on_the_front():
    assert pareto_front([_version(1, latency=None), _version(2, latency=9.0)]) == {2}


def _drawings(page):
    """Gives the charts of a page; they are XML, which a parser checks."""
    parts = page.split("<svg ")[1:]
    return [
        ElementTree.fromstring("<svg " + part.partition("</svg>")[0] + "</svg>") for part in parts
    ]


def test_page_is_whole_and_says_what_happened():
    moves = [
        Move("production", "promotion", None, 1, "me", "first", False, 0, "r1"),
        Move("production", "promotion", 1, 2, "me", "<b>&", True, 60_000, "r2"),
    ]
    versions = [
        _version(2, 90, 1.5, 0.98, aliases=("production",)),
        _version(1, 100, 2.0, 0.99, scheme="<script>"),
    ]
    page = dashboard("face", versions, moves)

    for loaded in ("http:", "https:", "<script", "src=", "href="):
        assert loaded not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "&lt;b&gt;&amp;" in page
    assert "face@1" in page
    assert "promotion, forced" in page
    drawings = _drawings(page)
    assert len(drawings) == 6
    for drawing in drawings:
        circles = drawing.findall(".//{*}circle")
        assert len([each for each in circles if each.get("fill") != "none"]) == 2
        assert len([each for each in circles if each.get("stroke")]) == 1


def test_page_of_versions_without_latency():
    page = dashboard("face", [_version(1, latency=None)], [])

    assert len(_drawings(page)) == 3
    assert "none was measured" in page
    assert "No alias has moved." in page


def test_the_page_has_the_tasks_figures_beside_those_of_jpeg(tmp_path):
    report = written("face_int8.report.json", Report)
    files = write_files(tmp_path, report_changes={"similarity": report.similarity})
    (task,) = report.similarity.tasks
    page = pages_of(read_record(files, "face", "//models:face_int8"))["overview.html"]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    at = cells.index("mean IoU of boxes")
    assert cells[at - 1 : at + 3] == [
        "detection",
        "mean IoU of boxes",
        formatting.number(task.box_iou_mean),
        formatting.number(task.jpeg["box_iou_mean"]),
    ]


def test_pages_of_a_registration(tmp_path):
    files = write_files(tmp_path, passed=False, outputs=("a<b", "c"))
    pages = pages_of(read_record(files, "face", "//models:face_int8"))

    ElementTree.fromstring(pages["overview.svg"])
    page = pages["overview.html"]
    assert "a&lt;b" in page
    assert "a<b" not in page
    assert "FAILED" in page
    assert "gates failed: max_score_error of detection: 0.04 against a threshold of 0.02" in page


def test_the_interval_of_the_speed_is_drawn(tmp_path):
    record = read_record(write_files(tmp_path), "face", "//models:face_int8")
    page = pages_of(record)["overview.html"]
    (drawing,) = _drawings(page)
    assert "times as fast: 1.5 (1.45 to 1.55)" in [
        text.text for text in drawing.findall(".//{*}text")
    ]
    assert len(drawing.findall(".//{*}line")) == 3


def test_versions_are_whole_and_have_the_interval_of_their_speed():
    versions = [_version(2), _version(1)]
    versions[0].metrics.update(speedup=1.5, speedup_low=1.4, speedup_high=1.7)
    speed = [
        drawing
        for drawing in _drawings(dashboard("face", versions, []))
        if drawing.find("{*}title").text == "times as fast as float against version"
    ]
    assert len(speed) == 1
    bottom = [t.text for t in speed[0].findall(".//{*}text[@text-anchor='middle']")]
    assert bottom == ["1", "2", "3", "version", "times as fast as float"]
    assert len(speed[0].findall(".//{*}line[@stroke='var(--text)']")) == 3
