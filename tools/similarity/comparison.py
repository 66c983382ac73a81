"""Compares an artifact with its float master over test data, for a report."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tools.documents.document import from_json
from tools.documents.json_file import rounded, significant
from tools.documents.known_samples import KnownSamples
from tools.documents.metrics import by_field
from tools.documents.models import DataIdentity, FileIdentity, ModelDescription
from tools.documents.report import (
    DataSets,
    MinRuntime,
    Report,
    Similarity,
    SizeReduction,
    TaskFigures,
)
from tools.documents.summary import BundleSummary, Summary
from tools.errors import InputError
from tools.graph.description import describe
from tools.graph.flatbuffer import model_to_read
from tools.graph.min_runtime import min_runtime
from tools.samples.loading import NamedSamples, SampleSet, overlapping
from tools.similarity.metrics import OutputSimilarity
from tools.similarity.model_outputs import RunModel, paired
from tools.similarity.tasks import TaskSimilarity, task_similarities


def compare_outputs(
    reference: RunModel,
    artifact: RunModel,
    samples: NamedSamples,
    tasks: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    progress: Callable[[int], None] | None = None,
    as_jpeg: NamedSamples | None = None,
) -> Similarity:
    """Runs both models over the samples.

    The float model runs over `as_jpeg` as well, where that is given and there are tasks: how far
    it gets from itself says what a change of the input means that nobody sees.

    Args:
      reference: the float model.
      artifact: what was made from it.
      samples: test data, for the float model's inputs.
      tasks: how outputs are decoded (`detection(...)` of a BUILD file): one task, a list
        of them, or None.
      progress: called with the number of samples done.
      as_jpeg: the same samples, of images that were saved as JPEG; None where there are none.

    Returns:
      How alike they are, without the layers.

    Raises:
      InputError: when the models' ends do not correspond, an output is NaN, or a task
        does not fit.
    """
    names, order = paired(reference, artifact)
    where = (reference.where, artifact.where)
    outputs = [
        OutputSimilarity(name, shape)
        for name, shape in zip(reference.outputs, reference.shapes, strict=True)
    ]
    shapes = dict(zip(reference.outputs, reference.shapes, strict=True))
    decoded = task_similarities(tasks, shapes, reference.where)
    of_jpeg = task_similarities(tasks, shapes, reference.where) if as_jpeg else []
    saved = iter(as_jpeg) if as_jpeg and of_jpeg else None
    for number, sample in enumerate(samples):
        expected = reference(sample)
        found = artifact({theirs: sample[ours] for theirs, ours in names.items()})
        actual = [found[position] for position in order]
        for output, ours, theirs in zip(outputs, expected, actual, strict=True):
            output.add(samples.names[number], ours, theirs)
        pairs = [(decoded, actual)]
        if saved:
            pairs.append((of_jpeg, reference(next(saved))))
        for similarities, others in pairs:
            for task in similarities:
                known, found_too = (
                    _OfStatedShapes(shapes, values, samples.names[number], model)
                    for values, model in zip((expected, others), where, strict=True)
                )
                task.add(known, found_too, samples.names[number])
        if progress:
            progress(number + 1)
    return Similarity(
        layers=None,
        outputs=tuple(output.figures() for output in outputs),
        samples=len(samples),
        tasks=_with_jpeg(decoded, of_jpeg),
    )


class _OfStatedShapes(dict[str, np.ndarray]):
    """A sample's outputs by name, for a task, which decodes outputs of the shapes that are stated.

    Looking an output up raises InputError where it has another size than the model states, which
    happens where that depends on values.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        values: Sequence[np.ndarray],
        sample: str,
        where: str,
    ):
        super().__init__(zip(shapes, values, strict=True))
        self._shapes, self._sample, self._where = shapes, sample, where

    def __getitem__(self, name: str) -> np.ndarray:
        values = super().__getitem__(name)
        if values.shape != self._shapes[name]:
            raise InputError(
                "task.misfit",
                f"{self._where}: output {name} has the shape {list(values.shape)} on test sample "
                f"{self._sample}, where {list(self._shapes[name])} is stated; give a task whose "
                "outputs have a fixed size",
            )
        return values


def _with_jpeg(
    decoded: Sequence[TaskSimilarity], of_jpeg: Sequence[TaskSimilarity]
) -> tuple[TaskFigures, ...]:
    """Sums up tasks, each with the figures of JPEG images where those were run."""
    found = tuple(task.figures() for task in decoded)
    if not of_jpeg:
        return found
    saved = [task.figures() for task in of_jpeg]
    return tuple(
        dataclasses.replace(
            task,
            jpeg={
                field: getattr(jpeg, field)
                for field, metric in by_field(task.type).items()
                if metric.better
            },
        )
        for task, jpeg in zip(found, saved, strict=True)
    )


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
            "data.overlap",
            f"test sample {name} is calibration sample {known}{more}; a model is not tested on "
            "what it was calibrated with: remove them from one of the sets",
        )


def file_identity(content: bytes) -> FileIdentity:
    """Says which file it is."""
    return FileIdentity(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def model_description(content: bytes, where: str) -> ModelDescription:
    """Says which model it is and what it is made of; `where` is how messages name it."""
    identity = dataclasses.asdict(file_identity(content))
    return from_json(ModelDescription, identity | describe(content, where), where)


def data_identity(samples: SampleSet) -> DataIdentity:
    """Says which data set it is."""
    return DataIdentity(digest=samples.digest, files=samples.files, samples=len(samples))


def needed_runtime(content: bytes, where: str) -> MinRuntime:
    """Finds the oldest runtime that a model can run on; `where` is how messages name it."""
    return from_json(MinRuntime, min_runtime(model_to_read(content, where)), where)


def refuse_other_summary(
    summary: Summary | BundleSummary | None, artifact: bytes, where: str
) -> None:
    """Refuses a summary that quantize_model wrote about another artifact.

    Args:
      summary: what it wrote, where it is known.
      artifact: the model or bundle at hand.
      where: how messages name it.

    Raises:
      InputError: when the summary is of another artifact.
    """
    if summary and summary.artifact.sha256 != file_identity(artifact).sha256:
        raise InputError(
            "document.other", f"{where}: the summary is of another artifact; quantize again"
        )


@dataclasses.dataclass(frozen=True)
class Compared:
    """An artifact, and what it was compared with and on.

    Attributes:
      name: of the artifact.
      version: of the artifact, as its team counts.
      artifact: the quantized .tflite.
      master: the float master.
      source: the file that the master was made from, where it is known.
      test: the data that it was compared on.
      where: how messages name the artifact.
    """

    name: str
    version: str
    artifact: bytes
    master: bytes
    source: bytes | None
    test: SampleSet
    where: str


def make_report(
    compared: Compared, similarity: Similarity, summary: Summary | None, tools: Mapping[str, str]
) -> Report:
    """Puts a report together.

    Args:
      compared: the artifact, and what it was compared with.
      similarity: from `compare_outputs`, with the layers.
      summary: what quantize_model wrote about the artifact, where it is known.
      tools: names and versions.

    Raises:
      InputError: when the summary is of another artifact.
    """
    artifact, source, where = compared.artifact, compared.source, compared.where
    refuse_other_summary(summary, artifact, where)
    against_source = rounded(1 - len(artifact) / len(source)) if source else None
    return Report(
        artifact=model_description(artifact, where),
        data=DataSets(summary.calibration if summary else None, data_identity(compared.test)),
        float_master=model_description(compared.master, where),
        float_tensors=summary.float_tensors if summary else (),
        min_runtime=needed_runtime(artifact, where),
        name=compared.name,
        passes=summary.passes if summary else (),
        recipe=summary.recipe if summary else None,
        scheme=summary.scheme if summary else "unknown",
        similarity=similarity,
        size=SizeReduction(significant(1 - len(artifact) / len(compared.master)), against_source),
        source=file_identity(source) if source else None,
        tools=dict(tools),
        version=compared.version,
        speed=summary.speed if summary else None,
    )
