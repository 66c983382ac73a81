"""Names of tags, and what they may say, by which the registry finds what it wrote."""

SHA256_TAG = "artifact_sha256"
DIGEST_TAG = "record_digest"
KIND_TAG = "kind"
PARENT_TAG = "parent_version"
VERSION_TAG = "model_version"
# Which process writes a run: what tells a run that is being written from one
# whose process has died.
WRITER_TAG = "writer"
# Why a run lies in MLflow's trash.
RETIRED_TAG = "retired"

# What a run measured where it ran: SIMILARITY, SPEED or both.
MEASURED_TAG = "measured"
SIMILARITY = "similarity"
SPEED = "speed"
# Of a measurement of speed that other work, or the device's heat, disturbed: in how many rounds.
DISTURBED_TAG = "device_disturbed"
# Whether a device's accelerator takes the model whole, partly, or refuses it; of runs that
# judged the answers there.
TAKEN_TAG = "device_taken"

# Of a version: figures for people, which MLflow's page shows first since capitals sort before
# small letters, and the first digits of what the artifact was made from.
SIZE_FIGURE_TAG = "Size"
SIMILARITY_FIGURE_TAG = "Similarity"
SPEED_FIGURE_TAG = "Speed"
DIGESTS_TAG = "digests"
# In full on the version's run: what they are of, by the tag.
DIGESTS = {
    "float_master_sha256": "float master",
    "source_sha256": "source",
    "recipe_sha256": "recipe",
}

# Whether the policy's command has been told of a move: PENDING, then DONE.
NOTIFY_TAG = "notify"
PENDING = "pending"
DONE = "done"

KIND_REGISTRATION = "registration"
KIND_MEASUREMENT = "measurement"
KIND_FLOAT_MASTER = "float master"
KIND_REFUSED = "refused"
KIND_PROMOTION = "promotion"
KIND_ROLLBACK = "rollback"
KIND_DASHBOARD = "dashboard"
# The oldest TensorFlow Lite that has an artifact's operators, and the operators of which
# nobody says since when it has them.
MIN_RUNTIME_TAG = "min_runtime"
UNKNOWN_OPERATORS_TAG = "min_runtime_unknown"
