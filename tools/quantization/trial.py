"""Tries an artifact before it is written: what nobody can run is refused in one line.

The artifact is opened beside the float model in a process of its own, its inputs and outputs
are compared with the float model's and with what was asked for, and both run once on a
sample, once on zeros, and once in another size where an input is open. What the float model
cannot run either, no artifact has to.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tools.errors import InputError
from tools.graph.child_process import ChildDiedError, in_child
from tools.graph.data_sized import data_sized
from tools.graph.delegate import Delegation, read_delegation
from tools.graph.flatbuffer import TfliteModel, model_to_read, text
from tools.graph.made_up_inputs import MadeUpInputs
from tools.graph.runtime import open_interpreter, read_tensor, values_read, values_to_set
from tools.graph.topology import Topology
from tools.quantization.settings import QuantizationSettings

# For the float model: it may loop until its input says that it ends, and zeros may never. A
# kernel without a fast form takes 30 times as long as in float.
_FLOAT_SECONDS, _SECONDS = 20.0, 600.0
# Below, an output of a calibration sample is said to be far from the float model's. A made-up
# input is one that no model was trained for.
_LEAST_COSINE = {"a calibration sample": 0.95, "a made-up input": 0.5}
_BATCH = 3
_ZEROS = "zeros"


class _UnusableError(Exception):
    """What is wrong with an artifact, as a message says it."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of trying an artifact.

    Attributes:
      warnings: sentences about what a user may not expect of it.
      delegations: what the runtime's delegate takes of the float model and of the artifact;
        None where it was not wholly tried.
    """

    warnings: list[str]
    delegations: tuple[Delegation, Delegation] | None = None


@dataclasses.dataclass(frozen=True)
class _Signature:
    """A signature that both models have.

    Attributes:
      key: its name.
      subgraph: the number of what it runs.
      inputs: tensor index in the float model, by name.
      outputs: the same.
      data_sized: names of the outputs whose size depends on values.
    """

    key: str
    subgraph: int
    inputs: dict[str, int]
    outputs: dict[str, int]
    data_sized: frozenset[str]


def _signatures(model: TfliteModel) -> list[_Signature]:
    found = []
    for one in model.schema.signatureDefs or []:
        ends = [{text(e.name): e.tensorIndex for e in part} for part in (one.inputs, one.outputs)]
        sized = data_sized(Topology(model, one.subgraphIndex))
        names = frozenset(name for name, index in ends[1].items() if index in sized)
        found.append(_Signature(text(one.signatureKey), one.subgraphIndex, ends[0], ends[1], names))
    return found


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Gives the cosine of two tensors; 1 where there is nothing to compare."""
    one, other = (values.astype(np.float64).reshape(-1) for values in (one, other))
    size = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / size) if size else 1.0


def _reason(error: Exception | str) -> str:
    """Brings what the runtime says into one line."""
    return " ".join(str(error).split())[:300].rstrip(".")


class _Pair:
    """One signature of the float model and of the artifact, open for running."""

    def __init__(self, interpreters, signature: _Signature, wanted: tuple[str, str] | None):
        """Opens it and compares what goes in and comes out.

        Args:
          interpreters: of both.
          signature: which.
          wanted: types of the artifact's float inputs and outputs; None where any will do.
        """
        self.signature = signature
        runners = [one.get_signature_runner(signature.key) for one in interpreters]
        self._interpreters = interpreters
        self._floating, self._made = runners
        ends = [(runner.get_input_details(), runner.get_output_details()) for runner in runners]
        for what, before, after, kind in zip(
            ("input", "output"), *ends, wanted or (None, None), strict=True
        ):
            if sorted(before) != sorted(after):
                raise _UnusableError(
                    f"its {what}s are {', '.join(after)}, the float model's {', '.join(before)}"
                )
            for name, details in before.items():
                _check_end(f"{what} {name}", details, after[name], kind)
        self.shapes = {name: tuple(d["shape"]) for name, d in ends[0][0].items()}
        self.open_shapes = {
            name: tuple(int(n) for n in d["shape_signature"]) for name, d in ends[0][0].items()
        }
        self.dtypes = {name: np.dtype(d["dtype"]) for name, d in ends[0][0].items()}

    def run(
        self, what: str, inputs: Mapping[str, np.ndarray], tell: Callable[[str], None]
    ) -> dict[str, float | None] | None:
        """Runs both.

        Args:
          what: how messages name the inputs.
          inputs: by name, in the float model's types.
          tell: called with what the artifact does, and with nothing before the float model runs.

        Returns:
          The cosine of each float output, by name, and None for an output of another size
          than the float model's; None alone where the float model fails.

        Raises:
          _UnusableError: when the artifact fails, or gives NaN or infinity where the float model
            does not.
        """
        tell("")
        try:
            expected = self._outputs(0, inputs)
        except (RuntimeError, ValueError):
            return None
        tell(f"runs on {what}")
        details = self._made.get_input_details()
        try:
            given = {n: values_to_set(details[n], v) for n, v in inputs.items()}
            found = self._outputs(1, given)
        except (RuntimeError, ValueError) as error:
            raise _UnusableError(f"it fails on {what}: {_reason(error)}") from None
        details = self._made.get_output_details()
        cosines: dict[str, float | None] = {}
        for name, values in expected.items():
            other = values_read(details[name], found[name])
            if other.shape != values.shape:
                if name in self.signature.data_sized:
                    cosines[name] = None
                    continue
                raise _UnusableError(
                    f"on {what} its output {name} has the shape {list(other.shape)}, the float "
                    f"model's {list(values.shape)}"
                )
            if values.dtype.kind != "f" or not np.isfinite(values).all():
                continue
            if not np.isfinite(other).all():
                raise _UnusableError(f"on {what} its output {name} is NaN or infinite")
            cosines[name] = _cosine(values, other)
        return cosines

    def _outputs(self, place: int, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the float model (0) or the artifact (1).

        Raises:
          RuntimeError: when it fails.
          ValueError: likewise.
        """
        runner = (self._floating, self._made)[place]
        try:
            return runner(**inputs)
        except ValueError:
            # It ran, and the runner cannot read an output without elements.
            details = runner.get_output_details()
            if not any(0 in one["shape"] for one in details.values()):
                raise
            interpreter, subgraph = self._interpreters[place], self.signature.subgraph
            return {
                name: read_tensor(interpreter, one["index"], subgraph)
                for name, one in details.items()
            }


def _check_end(what: str, before: Mapping, after: Mapping, kind: str | None) -> None:
    one, other = np.dtype(before["dtype"]), np.dtype(after["dtype"])
    given = kind is None and one == np.float32
    wanted = np.dtype(kind) if kind is not None and one == np.float32 else one
    if other != wanted and not given:
        raise _UnusableError(f"its {what} is {other}, where {wanted} was asked for")
    for field in ("shape", "shape_signature"):
        sizes = [[int(size) for size in details[field]] for details in (before, after)]
        # An output that states none is compared when both have run.
        unstated = what.startswith("output") and not sizes[0]
        if sizes[0] != sizes[1] and not unstated:
            raise _UnusableError(
                f"its {what} has the shape {sizes[1]}, the float model's {sizes[0]}"
            )


def _made_up(
    makers: MadeUpInputs, pair: _Pair, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Makes inputs that a model can take, the same each time."""
    random, result = np.random.default_rng(0), {}
    for name, index in pair.signature.inputs.items():
        dtype, shape = pair.dtypes[name], shapes[name]
        if pair.signature.subgraph == 0:
            result[name] = makers.values(index, shape, dtype, random)
        elif dtype.kind == "f":
            result[name] = random.random(shape).astype(dtype)
        else:
            result[name] = _nothing(shape, dtype)
    return result


def _nothing(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.zeros(shape, dtype) if dtype.kind in "biuf" else np.full(shape, b"", object)


def _other_sizes(pair: _Pair) -> Iterator[dict[str, tuple[int, ...]]]:
    """Proposes shapes for inputs that are open, those first that few models refuse."""
    if not any(-1 in shape for shape in pair.open_shapes.values()):
        return
    for change in (lambda n: n * 3 // 4 + 2, lambda n: n // 2, lambda n: 2 * n, lambda n: n + 32):
        shapes = {}
        for name, known in pair.shapes.items():
            wanted = pair.open_shapes[name] or known
            shapes[name] = tuple(
                int(size) if stated != -1 else _BATCH if axis == 0 else max(int(change(size)), 1)
                for axis, (size, stated) in enumerate(zip(known, wanted, strict=True))
            )
        if shapes != pair.shapes:
            yield shapes


def _try(
    master: bytes,
    artifact: bytes,
    wanted: tuple[str, str] | None,
    sample: Mapping[str, np.ndarray] | None,
    tell: Callable[[str], None],
) -> Trial:
    """Tries an artifact in this process.

    Raises:
      _UnusableError: when it cannot be used.
    """
    model = model_to_read(master)
    try:
        floating = open_interpreter(master, "float")
    except InputError as error:
        reason = str(error).partition(": ")[2]
        return Trial(
            [f"the artifact was not tried, since the float model cannot be run here: {reason}"]
        )
    tell("is opened")
    try:
        made = open_interpreter(artifact, "artifact")
    except InputError as error:
        raise _UnusableError(_reason(str(error).partition(": ")[2])) from None
    # Before an input of another size: what is resized may be delegated otherwise.
    delegations = read_delegation(floating), read_delegation(made)
    keys = [sorted(one.get_signature_list()) for one in (floating, made)]
    if keys[0] != keys[1]:
        raise _UnusableError(f"its signatures are {keys[1]}, the float model's {keys[0]}")
    makers, warnings = MadeUpInputs(model), []
    for signature in _signatures(model):
        main = signature.subgraph == 0
        pair = _Pair((floating, made), signature, wanted if main else ("float32", "float32"))
        given = main and sample is not None
        what = "a calibration sample" if given else "a made-up input"
        inputs = sample if main and sample is not None else _made_up(makers, pair, pair.shapes)
        cosines = pair.run(what, inputs, tell)
        for name, cosine in (cosines or {}).items():
            if cosine is None:
                warnings.append(
                    f"on {what} the output {name} has another size than the float model's: it "
                    "depends on values that lie near a border; compare both on test data"
                )
            elif cosine < _LEAST_COSINE[what]:
                warnings.append(
                    f"on {what} the output {name} is far from the float model's (cosine "
                    f"{cosine:.3f}); compare both on test data"
                )
        zeros = {name: _nothing(shape, pair.dtypes[name]) for name, shape in pair.shapes.items()}
        pair.run(_ZEROS, zeros, tell)
        for shapes in _other_sizes(pair):
            sizes = ", ".join(str(list(shape)) for shape in shapes.values())
            if pair.run(f"an input of {sizes}", _made_up(makers, pair, shapes), tell) is not None:
                break
    return Trial(warnings, delegations)


def try_artifact(
    master: bytes,
    artifact: bytes,
    settings: QuantizationSettings,
    sample: Mapping[str, np.ndarray] | None,
    where: str,
) -> Trial:
    """Opens and runs an artifact in a process of its own.

    Args:
      master: the float master that it was made from, a whole .tflite file.
      artifact: a whole .tflite file.
      settings: how it was quantized.
      sample: of the calibration data, by signature input name; None where there is none.
      where: how messages name the model.

    Raises:
      InputError: one line that says what is wrong, when it cannot be used.
    """
    # A recipe says itself what its ends are.
    wanted = None if settings.recipe else (settings.input_type, settings.output_type)

    def work(tell: Callable[[str], None]) -> tuple[str, Trial]:
        try:
            return "", _try(master, artifact, wanted, sample, tell)
        except _UnusableError as error:
            return str(error), Trial([])

    try:
        fault, trial = in_child(work, lambda step: _SECONDS if step else _FLOAT_SECONDS)
    except ChildDiedError as error:
        if not error.step:
            return Trial(
                [f"the artifact was not wholly tried: the float model stopped it ({error.reason})"]
            )
        fault, trial = f"{error.reason} as it {error.step}", Trial([])
    if fault:
        raise InputError(
            "scheme.unusable",
            f"{where}: {settings.scheme} makes an artifact that cannot be used: {fault}; keep the "
            "layer float or take another scheme",
        )
    return trial
