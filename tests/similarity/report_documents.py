"""A report to judge, made by hand so that every value is known."""

import copy

_MODEL = {
    "bytes": 1000,
    "inputs": [],
    "ops": {"CONV_2D": 2},
    "outputs": [],
    "sha256": "a" * 64,
}
_REPORT = {
    "artifact": _MODEL,
    "data": {"calibration": None, "test": {"digest": "d" * 64, "files": 3, "samples": 3}},
    "float_master": _MODEL | {"bytes": 4000},
    "float_tensors": [],
    "kind": "rules_quantize.report",
    "name": "face_int8",
    "passes": [],
    "recipe": {"entries": 1, "sha256": "b" * 64},
    "schema_version": 1,
    "scheme": "int8",
    "similarity": {
        "outputs": [
            {
                "cosine_mean": 0.96,
                "cosine_min": 0.8,
                "max_abs_error": 3.0,
                "mean_abs_error": 0.5,
                "name": "boxes",
                "shape": [1, 896, 16],
                "sqnr_db": 20.0,
                "worst_sample": "face_0003.png",
            },
            {
                "cosine_mean": 0.99,
                "cosine_min": 0.97,
                "max_abs_error": 1.0,
                "mean_abs_error": 0.1,
                "name": "scores",
                "shape": [1, 896, 1],
                "sqnr_db": 30.0,
                "worst_sample": "face_0001.png",
            },
        ],
        "samples": 3,
        "task": {
            "box_error_px_max": 2.0,
            "box_error_px_mean": 0.5,
            "negatives": 1,
            "positives": 2,
            "precision": 1.0,
            "recall": 1.0,
            "score_error_max": 0.1,
            "score_error_mean": 0.02,
            "type": "detection",
        },
    },
    "size": {"reduction": 0.75, "reduction_vs_source": 0.5},
    "source": {"bytes": 2000, "sha256": "c" * 64},
    "tools": {"numpy": "2.0"},
    "version": "1.0.0",
}


def report(**changes) -> dict:
    """Makes a report of its own; keyword arguments replace whole fields."""
    return copy.deepcopy(_REPORT) | changes
