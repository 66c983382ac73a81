"""Samples of a real model, as every command loads them."""

import numpy as np
from PIL import Image

from tests.random_models import tiny_model
from tools.graph.float_master import make_float_master
from tools.samples.flags import PreprocessingChoice
from tools.samples.model_inputs import load_model_samples


def test_what_is_not_used_is_told(tmp_path, capfd):
    master, _ = make_float_master(tiny_model(), "tiny")
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    choice = PreprocessingChoice(0, 1)
    assert len(load_model_samples(master, "tiny", [tmp_path], choice)) == 2
    assert capfd.readouterr().err == ""
    (tmp_path / "c.heic").write_bytes(b"")
    assert len(load_model_samples(master, "tiny", [tmp_path], choice)) == 2
    assert capfd.readouterr().err.startswith(
        f"warning: {tmp_path}: 1 of 3 files are not read (1 .heic); samples are .bmp, "
    )
