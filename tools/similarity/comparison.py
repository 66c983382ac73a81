"""Compares an artifact with its float master over test data, for a report."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import model_to_read
from tools.graph.min_runtime import min_runtime
from tools.report import REPORT_KIND, SCHEMA_VERSION, rounded
from tools.samples.known_samples import KnownSamples
from tools.samples.loading import SampleSet, overlapping
from tools.similarity.metrics import OutputSimilarity
from tools.similarity.model_outputs import ModelOutputs, paired
from tools.similarity.tasks import task_similarities


def compare_outputs(
    reference: ModelOutputs,
    artifact: ModelOutputs,
    samples: SampleSet,
    tasks: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    progress: Callable[[int], None] | None = None,
) -> dict:
    """Runs both models over the samples.

    Args:
      reference: the float model.
      artifact: what was made from it.
      samples: test data, for the float model's inputs.
      tasks: how outputs are decoded (`detection(...)` of a BUILD file): one task, a list
        of them, or None.
      progress: called with the number of samples done.

    Returns:
      A report's "similarity".

    Raises:
      InputError: when the models' ends do not correspond, an output is NaN, or a task
        does not fit.
    """
    names, order = paired(reference, artifact)
    outputs = [
        OutputSimilarity(name, shape)
        for name, shape in zip(reference.outputs, reference.shapes, strict=True)
    ]
    shapes = dict(zip(reference.outputs, reference.shapes, strict=True))
    decoded = task_similarities(tasks, shapes, reference.where)
    for number, sample in enumerate(samples):
        expected = reference(sample)
        found = artifact({theirs: sample[ours] for theirs, ours in names.items()})
        actual = [found[position] for position in order]
        for output, ours, theirs in zip(outputs, expected, actual, strict=True):
            output.add(samples.names[number], ours, theirs)
        for task in decoded:
            task.add(
                dict(zip(reference.outputs, expected, strict=True)),
                dict(zip(reference.outputs, actual, strict=True)),
                samples.names[number],
            )
        if progress:
            progress(number + 1)
    summaries = [task.summary() for task in decoded]
    return {
        "outputs": [output.summary() for output in outputs],
        "samples": len(samples),
        # The first one once more, for readers that know of one task only.
        "task": summaries[0] if summaries else None,
        "tasks": summaries,
    }


def refuse_overlap(calibration: SampleSet | KnownSamples, test: SampleSet) -> None:
    """Refuses test data that the ranges were made from.

    Raises:
      InputError: names the first sample that both sets hold.
    """
    shared = overlapping(calibration, test)
    if shared:
        (known, name), count = shared[0], len(shared)
        more = f" and {count - 1} more" if count > 1 else ""
        raise InputError(
            f"test sample {name} is calibration sample {known}{more}; a model is not tested on "
            "what it was calibrated with: remove them from one of the sets"
        )


def identity(content: bytes) -> dict:
    """Gives a file's {"bytes", "sha256"}."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def described(content: bytes, where: str) -> dict:
    """Gives a model's identity and what it is made of, for a report."""
    return identity(content) | describe(content, where)


def data_identity(samples: SampleSet) -> dict:
    """Gives a data set's {"digest", "files", "samples"}."""
    return {"digest": samples.digest, "files": samples.files, "samples": len(samples)}


def refuse_other_summary(summary: Mapping[str, Any] | None, artifact: bytes, where: str) -> None:
    """Refuses a summary that quantize_model wrote about another artifact.

    Args:
      summary: what it wrote, where it is known.
      artifact: the model or bundle at hand.
      where: how messages name it.

    Raises:
      InputError: when the summary is of another artifact.
    """
    if summary and summary.get("artifact", {}).get("sha256") != identity(artifact)["sha256"]:
        raise InputError(f"{where}: the summary is of another artifact; quantize again")


def make_report(
    name: str,
    version: str,
    artifact: bytes,
    master: bytes,
    source: bytes | None,
    similarity: dict,
    test: SampleSet,
    summary: Mapping[str, Any] | None,
    tools: Mapping[str, str],
    where: str,
) -> dict:
    """Puts a report together.

    Args:
      name: of the artifact.
      version: of the artifact, as its team counts.
      artifact: the quantized .tflite.
      master: the float master.
      source: the file that the master was made from, where it is known.
      similarity: from `compare_outputs`.
      test: the data that it was compared on.
      summary: what quantize_model wrote about the artifact, where it is known.
      tools: names and versions.
      where: how messages name the artifact.

    Returns:
      The report (docs/report.md).

    Raises:
      InputError: when the summary is of another artifact.
    """
    known = summary or {}
    refuse_other_summary(summary, artifact, where)
    against_source = 1 - len(artifact) / len(source) if source else None
    return {
        "artifact": described(artifact, where),
        "data": {"calibration": known.get("calibration"), "test": data_identity(test)},
        "float_master": described(master, where),
        "float_tensors": known.get("float_tensors", []),
        "kind": REPORT_KIND,
        "min_runtime": min_runtime(model_to_read(artifact, where)),
        "name": name,
        "passes": known.get("passes", []),
        "recipe": known.get("recipe"),
        "schema_version": SCHEMA_VERSION,
        "scheme": known.get("scheme", "unknown"),
        "similarity": similarity,
        "size": {
            "reduction": rounded(1 - len(artifact) / len(master)),
            "reduction_vs_source": rounded(against_source) if source else None,
        },
        "source": identity(source) if source else None,
        "tools": dict(tools),
        "version": version,
    }
