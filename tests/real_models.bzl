"""REAL_MODELS: files of the models that model_files.py calls so."""

REAL_MODELS = [
    "@mediapipe_models//:{}.tflite".format(name)
    for name in [
        "face_detection_full_range_sparse",
        "face_detection_short_range",
        "face_landmark",
        "hand_landmark_full",
        "hand_landmark_lite",
        "iris_landmark",
        "palm_detection_full",
        "palm_detection_lite",
        "pose_detection",
        "pose_landmark_full",
        "selfie_segmentation",
    ]
]
