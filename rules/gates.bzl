"""quality_gates, speed_gates: what an artifact must reach.

Written by `bazel run //rules:write_gates` from tools/similarity/gate_definitions.py and
tools/latency/gate_definitions.py; edit those.
"""

load("//rules/private:gate_values.bzl", "quality_thresholds", "speed_thresholds")

_QUALITY_GATES = {
    "tolerance": {"by_name": True, "default": 0.05, "kind": "number", "least": 0, "most": 2, "wanted": "a number from 0 to 2"},
    "worst_tolerance": {"by_name": True, "kind": "number", "least": 0, "most": 2, "wanted": "a number from 0 to 2"},
    "p5_tolerance": {"by_name": True, "kind": "number", "least": 0, "most": 2, "wanted": "a number from 0 to 2"},
    "max_scale_error": {"by_name": True, "default": 0.2, "kind": "number", "least": 0, "wanted": "a number from 0"},
    "min_sqnr_db": {"by_name": True, "kind": "number", "wanted": "a number"},
    "max_abs_error": {"by_name": True, "kind": "number", "least": 0, "wanted": "a number from 0"},
    "max_mean_abs_error": {"by_name": True, "kind": "number", "least": 0, "wanted": "a number from 0"},
    "max_score_error": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["detection"], "wanted": "a number from 0 to 1"},
    "max_box_error_px": {"by_name": True, "kind": "number", "least": 0, "tasks": ["detection"], "wanted": "a number from 0"},
    "min_box_iou": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["detection"], "wanted": "a number from 0 to 1"},
    "max_keypoint_error_px": {"by_name": True, "kind": "number", "least": 0, "tasks": ["detection"], "wanted": "a number from 0"},
    "max_worst_keypoint_error_px": {"by_name": True, "kind": "number", "least": 0, "tasks": ["detection"], "wanted": "a number from 0"},
    "min_precision": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["detection", "landmarks"], "wanted": "a number from 0 to 1"},
    "min_recall": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["detection", "landmarks"], "wanted": "a number from 0 to 1"},
    "max_landmark_error": {"by_name": True, "kind": "number", "least": 0, "tasks": ["landmarks"], "wanted": "a number from 0"},
    "max_landmark_error_px": {"by_name": True, "kind": "number", "least": 0, "tasks": ["landmarks"], "wanted": "a number from 0"},
    "max_worst_landmark_error": {"by_name": True, "kind": "number", "least": 0, "tasks": ["landmarks"], "wanted": "a number from 0"},
    "max_worst_landmark_error_px": {"by_name": True, "kind": "number", "least": 0, "tasks": ["landmarks"], "wanted": "a number from 0"},
    "max_world_error_mm": {"by_name": True, "kind": "number", "least": 0, "tasks": ["landmarks"], "wanted": "a number from 0"},
    "max_worst_world_error_mm": {"by_name": True, "kind": "number", "least": 0, "tasks": ["landmarks"], "wanted": "a number from 0"},
    "max_presence_error": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["landmarks"], "wanted": "a number from 0 to 1"},
    "min_segmentation_iou": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["segmentation"], "wanted": "a number from 0 to 1"},
    "min_soft_iou": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["segmentation"], "wanted": "a number from 0 to 1"},
    "min_top1_agreement": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["classification"], "wanted": "a number from 0 to 1"},
    "min_top5_agreement": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["classification"], "wanted": "a number from 0 to 1"},
    "min_accuracy": {"by_name": True, "kind": "number", "least": 0, "most": 1, "tasks": ["classification"], "wanted": "a number from 0 to 1"},
    "max_degradation": {"kind": "number", "least": 0, "metrics": ["accuracy", "box_error_px", "box_iou", "cosine", "cosine_p5", "keypoint_error_px", "landmark_error", "landmark_error_px", "max_abs_error", "mean_abs_error", "precision", "presence_error", "recall", "scale_error", "score_error", "segmentation_iou", "soft_iou", "top1_agreement", "top5_agreement", "world_error_mm", "worst_cosine", "worst_keypoint_error_px", "worst_landmark_error", "worst_landmark_error_px", "worst_world_error_mm"], "wanted": "a number from 0"},
    "max_degradation_percent": {"kind": "number", "least": 0, "metrics": ["accuracy", "box_iou", "cosine", "cosine_p5", "precision", "recall", "segmentation_iou", "soft_iou", "top1_agreement", "top5_agreement", "worst_cosine"], "most": 100, "wanted": "a number from 0 to 100"},
    "max_jpeg_ratio": {"kind": "number", "least": 0, "metrics": ["box_error_px", "box_iou", "keypoint_error_px", "landmark_error", "landmark_error_px", "precision", "presence_error", "recall", "score_error", "segmentation_iou", "soft_iou", "top1_agreement", "top5_agreement", "world_error_mm"], "of_all_metrics": True, "wanted": "a number from 0"},
    "min_positives": {"default": 1, "kind": "count", "least": 1, "wanted": "a whole number from 1"},
    "min_layer_correlation": {"default": 0.5, "kind": "number", "least": -1, "most": 1, "wanted": "a number from -1 to 1"},
    "max_size_bytes": {"kind": "count", "least": 1, "wanted": "a whole number from 1"},
    "min_size_reduction": {"kind": "number", "least": 0, "most": 1, "wanted": "a number from 0 to 1"},
    "smaller_than_source": {"kind": "switch", "wanted": "True or False"},
    "oldest_runtime": {"kind": "version", "wanted": "a version such as \"2.7.0\""},
}

_SPEED_GATES = {
    "min_fps": {"above_least": True, "kind": "number", "least": 0, "wanted": "a number above 0"},
    "min_speedup": {"above_least": True, "kind": "number", "least": 0, "wanted": "a number above 0"},
    "max_p90_ms": {"above_least": True, "kind": "number", "least": 0, "wanted": "a number above 0"},
    "max_load_ms": {"above_least": True, "kind": "number", "least": 0, "wanted": "a number above 0"},
    "max_first_inference_ms": {"above_least": True, "kind": "number", "least": 0, "wanted": "a number above 0"},
    "max_memory_mb": {"above_least": True, "kind": "number", "least": 0, "wanted": "a number above 0"},
    "max_arena_mb": {"above_least": True, "kind": "number", "least": 0, "wanted": "a number above 0"},
    "max_partitions": {"kind": "count", "least": 0, "wanted": "a whole number from 0"},
    "max_fallback": {"kind": "count", "least": 0, "wanted": "a whole number from 0"},
}

def quality_gates(
        *,
        tolerance = 0.05,
        worst_tolerance = None,
        p5_tolerance = None,
        max_scale_error = 0.2,
        min_sqnr_db = None,
        max_abs_error = None,
        max_mean_abs_error = None,
        max_degradation = {},
        max_degradation_percent = {},
        max_jpeg_ratio = None,
        min_positives = 1,
        min_layer_correlation = 0.5,
        max_size_bytes = None,
        min_size_reduction = None,
        smaller_than_source = False,
        oldest_runtime = None,
        classification = {},
        detection = {},
        landmarks = {},
        segmentation = {},
        **unknown):
    """Gates on size and similarity, for `quantized_model(quality = ...)`.

    A threshold of outputs is a number, or a dict by the outputs' names, in which "*" stands for
    those not named: tolerance = {"boxes": 0.03, "*": 0.05}. The gates of tasks are given in a
    dict for each type of task, detection = {"min_recall": 0.98}, and there a threshold may be a
    dict by the tasks' own names, landmarks = {"min_recall": {"iris": 0.9, "*": 0.98}}. None
    switches a gate off.

    Args:
      tolerance: how far an output's mean cosine similarity may fall below 1 (a number from 0 to
        2).
      worst_tolerance: how far the worst sample's similarity may fall below 1 (a number from 0
        to 2).
      p5_tolerance: how far the 5th percentile of the samples' similarity may fall below 1 (a
        number from 0 to 2).
      max_scale_error: relative difference of an output's root mean square over all samples from
        the float model's: 0.1 is 10% (a number from 0).
      min_sqnr_db: signal-to-quantization-noise ratio in decibels (a number).
      max_abs_error: largest error, in the output's own unit (a number from 0).
      max_mean_abs_error: mean error, in the output's own unit (a number from 0).
      max_degradation: by metric, how much worse than the float model's own it may be (a number
        from 0).
      max_degradation_percent: by metric, how many percent of the float model's own it may be
        worse (a number from 0 to 100).
      max_jpeg_ratio: how many times as far from the float model's own a task's metrics may be
        as those of the float model on the test images saved as JPEG (a number from 0).
      min_positives: in how many samples the float model must see something, for each task (a
        whole number from 1).
      min_layer_correlation: smallest correlation of a layer's values with the float model's (a
        number from -1 to 1).
      max_size_bytes: size of the artifact (a whole number from 1).
      min_size_reduction: by what share the artifact is smaller than the float master: 0.7 is by
        70% (a number from 0 to 1).
      smaller_than_source: whether the artifact must be smaller than the file that the float
        master was made from.
      oldest_runtime: version of TensorFlow Lite that has all operators of the artifact (a
        version such as "2.7.0").
      classification: gates of every classification task, by name: min_top1_agreement,
        min_top5_agreement, min_accuracy.
      detection: gates of every detection task, by name: max_score_error, max_box_error_px,
        min_box_iou, max_keypoint_error_px, max_worst_keypoint_error_px, min_precision,
        min_recall.
      landmarks: gates of every landmarks task, by name: min_precision, min_recall,
        max_landmark_error, max_landmark_error_px, max_worst_landmark_error,
        max_worst_landmark_error_px, max_world_error_mm, max_worst_world_error_mm,
        max_presence_error.
      segmentation: gates of every segmentation task, by name: min_segmentation_iou,
        min_soft_iou.
      **unknown: refused, with the names that are near it.

    Returns:
      Dict from a gate's name to its threshold as JSON. A select() may choose between such
      dicts.
    """
    return quality_thresholds(
        "quality_gates",
        _QUALITY_GATES,
        {
            "tolerance": tolerance,
            "worst_tolerance": worst_tolerance,
            "p5_tolerance": p5_tolerance,
            "max_scale_error": max_scale_error,
            "min_sqnr_db": min_sqnr_db,
            "max_abs_error": max_abs_error,
            "max_mean_abs_error": max_mean_abs_error,
            "max_degradation": max_degradation,
            "max_degradation_percent": max_degradation_percent,
            "max_jpeg_ratio": max_jpeg_ratio,
            "min_positives": min_positives,
            "min_layer_correlation": min_layer_correlation,
            "max_size_bytes": max_size_bytes,
            "min_size_reduction": min_size_reduction,
            "smaller_than_source": smaller_than_source,
            "oldest_runtime": oldest_runtime,
        },
        {
            "classification": classification,
            "detection": detection,
            "landmarks": landmarks,
            "segmentation": segmentation,
        },
        unknown,
    )

def speed_gates(
        *,
        min_fps = {},
        min_speedup = None,
        max_p90_ms = None,
        max_load_ms = None,
        max_first_inference_ms = None,
        max_memory_mb = None,
        max_arena_mb = None,
        max_partitions = None,
        max_fallback = None,
        allow_inconclusive = False,
        threads = 1,
        test_tags = [],
        **unknown):
    """Gates on speed and memory, and how they are measured, for `quantized_model(speed = ...)`.

    Args:
      min_fps: inferences a second by device: ":host", the machine that runs the test, or the
        label of a latency_device.
      min_speedup: how many times as fast as the float master (a number above 0).
      max_p90_ms: milliseconds that nine in ten inferences stay under (a number above 0).
      max_load_ms: milliseconds to load the model (a number above 0).
      max_first_inference_ms: milliseconds of the first inference (a number above 0).
      max_memory_mb: resident memory that loading and running adds, in 2**20 bytes (a number
        above 0).
      max_arena_mb: memory of the artifact's activations, in 2**20 bytes (a number above 0).
      max_partitions: pieces that the delegate may cut the artifact into (a whole number from
        0).
      max_fallback: operators of the artifact that the delegate may leave (a whole number from
        0).
      allow_inconclusive: whether a gate that stays undecided passes with a warning.
      threads: of the interpreter that measures, for NAME.tune and NAME.register as well.
      test_tags: further tags of NAME_fps_test: ["manual"] keeps it out of `bazel test //...`.
      **unknown: refused, with the names that are near it.

    Returns:
      A struct. It makes targets, so no select() may choose between two.
    """
    return speed_thresholds(
        "speed_gates",
        _SPEED_GATES,
        min_fps,
        {
            "min_speedup": min_speedup,
            "max_p90_ms": max_p90_ms,
            "max_load_ms": max_load_ms,
            "max_first_inference_ms": max_first_inference_ms,
            "max_memory_mb": max_memory_mb,
            "max_arena_mb": max_arena_mb,
            "max_partitions": max_partitions,
            "max_fallback": max_fallback,
        },
        unknown,
        allow_inconclusive = allow_inconclusive,
        threads = threads,
        test_tags = test_tags,
    )
