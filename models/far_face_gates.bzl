"""FAR_FACE_GATES: what an int8 artifact of the full-range face detector must reach."""

# A far face is a few pixels wide, and a pixel's error much of it: boxes are judged by their
# overlap as well.
FAR_FACE_GATES = {
    "max_box_error": 0.44,
    "max_score_error": 0.031,
    "min_box_iou": 0.95,
    "min_precision": 0.95,
    "min_recall": 0.95,
    "min_size_reduction": 0.765,
    "tolerance": {
        "Identity": 0.0031,
        "Identity_1": 0.0022,
    },
}
