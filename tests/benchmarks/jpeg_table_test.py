"""The table of what artifacts change beside JPEG, from reports whose values are known."""

from dataclasses import replace

from benchmarks.jpeg_table import main, parser
from tests.refused import refused
from tests.similarity.report_documents import DETECTION, SEGMENTATION, report_of
from tools.documents.document import write_document


def _printed(capsys, *paths):
    assert main(parser().parse_args([str(path) for path in paths])) == 0
    return capsys.readouterr().out.splitlines()


def test_a_row_for_each_mean_of_each_task(tmp_path, capsys):
    path = tmp_path / "a.report.json"
    write_document(path, report_of(SEGMENTATION, DETECTION))
    head, line, *rows = _printed(capsys, path)
    assert head.count("|") == line.count("|") == 7
    assert rows[0] == "| face_int8 | segmentation | mean IoU of masks | 0.975 | 0.95 | 2.00 |"
    assert "| face_int8 | detection | mean box error, px | 0.25 | 0.5 | 2.00 |" in rows
    assert len(rows) == 2 + 6


def test_what_jpeg_does_not_change_has_no_ratio(tmp_path, capsys):
    path = tmp_path / "a.report.json"
    same = SEGMENTATION.jpeg | {"soft_iou_mean": 1.0, "iou_mean": None}
    write_document(path, report_of(replace(SEGMENTATION, jpeg=same)))
    _, _, row = _printed(capsys, path)
    assert row.endswith("| mean soft IoU of masks | 1 | 0.94 | - |")


def test_reports_without_jpeg_are_refused(tmp_path):
    path = tmp_path / "a.report.json"
    write_document(path, report_of(replace(SEGMENTATION, jpeg=None)))
    with refused("data.missing", "a.report.json: no task was compared on JPEG images"):
        main(parser().parse_args([str(path)]))
