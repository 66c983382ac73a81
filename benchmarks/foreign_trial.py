"""Tries a model that others made: quantizes it, runs what comes out, and times it.

What may end a process runs in one of its own (`in_child`): a crash is a row of the table.
The library's own recipes get the float master, as this project's schemes do.
"""

import contextlib
import dataclasses
import io
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools import quantize_model
from tools.errors import InputError

OURS = ("INT8", "INT16X8", "DYNAMIC", "FLOAT16", "WEIGHT_ONLY_INT8")
# The library's recipe that stands beside each scheme.
STOCK = {
    "INT8": "stock static_wi8_ai8",
    "INT16X8": "stock static_wi8_ai16",
    "DYNAMIC": "stock dynamic_wi8_afp32",
    "FLOAT16": "stock float_casting",
    "WEIGHT_ONLY_INT8": "stock weight_only_wi8_afp32",
}
SCHEMES = (*OURS, *STOCK.values())
_NEEDS_DATA = frozenset({"INT8", "INT16X8", STOCK["INT8"], STOCK["INT16X8"]})
# Whatever it is quantized for, it is run on other samples than it was calibrated with.
_CALIBRATION, _TEST = (16, 0), (8, 1)
# What is the same to the bit has no noise; a figure for it stays in the table.
SAME_DB = 999.0
_ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Ended:
    """How work in a process of its own ended.

    Attributes:
      how: "done", "refused", "traceback", "abort" or "timeout".
      result: what it returned; else what is to say of it, in one line.
    """

    how: str
    result: Any


def in_child(work: Callable[[], Any], seconds: float) -> Ended:
    """Does work in a forked process.

    Args:
      work: what it returns is sent back.
      seconds: that it may take.

    Returns:
      How it ended: nothing is raised.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def target() -> None:
        try:
            theirs.send(Ended("done", work()))
        except InputError as error:
            theirs.send(Ended("refused", str(error)))
        except BaseException as error:
            line = " ".join(f"{type(error).__name__}: {error}".split())
            theirs.send(Ended("traceback", line[:300]))

    process = context.Process(target=target)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            return Ended("timeout", f"no end within {seconds:g} seconds")
        return ours.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        return Ended("abort", signal.Signals(-code).name if code < 0 else f"exit status {code}")
    finally:
        ours.close()
        process.kill()
        process.join()


def random_samples(master: bytes, count: int, seed: int) -> dict[str, np.ndarray]:
    """Makes values for each input of a float master.

    Args:
      master: a whole .tflite file, from `make_float_master`.
      count: how many samples.
      seed: of the values.

    Returns:
      Signature input name to [count, *shape] in the input's type, in the model's order:
      floats normally distributed, integers that the model can take (rows that its tables
      have).
    """
    from tools.graph.flatbuffer import model_to_read
    from tools.graph.made_up_inputs import MadeUpInputs
    from tools.graph.runtime import input_specifications, signature_inputs

    model, random = model_to_read(master), np.random.default_rng(seed)
    makers, places = MadeUpInputs(model), signature_inputs(model)
    arrays = {}
    for name, shape, dtype in input_specifications(master, "model"):
        if dtype.kind == "f":
            arrays[name] = random.normal(0, 1, (count, *shape)).astype(dtype)
        else:
            rows = [makers.values(places[name], shape, dtype, random) for _ in range(count)]
            arrays[name] = np.stack(rows)
    order = [int(index) for index in model.schema.subgraphs[0].inputs]
    return {name: arrays[name] for name in sorted(arrays, key=lambda n: order.index(places[n]))}


def outputs_of(content: bytes, samples: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Runs a model that takes what its float master takes.

    Args:
      content: a whole .tflite file.
      samples: values of its inputs in their order, [count, *shape] each; a model's state is
        reset before each sample.

    Returns:
      For each output all that it gave, one array; of integers with a scale, the values that
      they stand for.
    """
    from tools.graph.runtime import open_interpreter, read_tensor

    interpreter = open_interpreter(content, "model")
    places = [details["index"] for details in interpreter.get_input_details()]
    details = interpreter.get_output_details()
    found: list[list[np.ndarray]] = [[] for _ in details]
    for rows in zip(*samples.values(), strict=True):
        interpreter.reset_all_variables()
        for place, row in zip(places, rows, strict=True):
            interpreter.set_tensor(place, row)
        interpreter.invoke()
        for one, gathered in zip(details, found, strict=True):
            values = read_tensor(interpreter, one["index"])
            gathered.append(np.asarray(values).reshape(-1))
    return [np.concatenate(one) if one else np.zeros(0) for one in found]


def likeness(expected: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Compares an output with the float model's.

    Args:
      expected: of the float model, any shape.
      found: of the artifact, the same shape.

    Returns:
      (signal-to-noise ratio in dB, cosine similarity); (SAME_DB, 1) where they are equal.
    """
    if expected.size == 0 or np.array_equal(expected, found):
        return SAME_DB, 1.0
    one, other = (values.astype(np.float64) for values in (expected, found))
    noise, signal_power = np.square(one - other).sum(), np.square(one).sum()
    sqnr = 10 * np.log10(signal_power / noise) if signal_power else -SAME_DB
    size = np.linalg.norm(one) * np.linalg.norm(other)
    return float(sqnr), float(one @ other / size) if size else 0.0


def _compared(expected: Sequence[np.ndarray], artifact: bytes, samples) -> dict[str, Any]:
    """Runs an artifact; gives the worst output's figures, or what is wrong with it."""
    found = outputs_of(artifact, samples)
    if len(found) != len(expected):
        return {"status": "wrong type", "detail": f"{len(found)} outputs for {len(expected)}"}
    figures = [(SAME_DB, 1.0)]
    for one, other in zip(expected, found, strict=True):
        if one.dtype != other.dtype or one.size != other.size:
            detail = f"{other.dtype} [{other.size}] for {one.dtype} [{one.size}]"
            return {"status": "wrong type", "detail": detail}
        if one.dtype.kind == "f" and np.isfinite(one).all():
            if not np.isfinite(other).all():
                return {"status": "not finite", "detail": ""}
            figures.append(likeness(one, other))
    worst = [min(values) for values in zip(*figures, strict=True)]
    return {"sqnr_db": round(worst[0], 2), "cosine": round(worst[1], 6)}


def _quantized(source: Path, output: Path, scheme: str, data: Path, said: Path) -> None:
    """Runs the command, as a user does.

    Raises:
      InputError: as the command does.
    """
    words = [
        f"--input_model={source}",
        f"--output_model={output}",
        f"--quantization_type={scheme}",
    ]
    if scheme in _NEEDS_DATA:
        words.append(f"--calibration_data={data}")
    with said.open("w") as file, contextlib.redirect_stderr(file), contextlib.redirect_stdout(file):
        status = quantize_model.main(quantize_model.parser().parse_args(words))
    if status:
        raise RuntimeError(f"exit status {status}")


def _stock(master: bytes, output: Path, recipe_name: str, data: Path) -> None:
    """Applies one of the library's own recipes to a float master, float ends kept."""
    from litert_quantizer import quantizer, recipe

    from tools.graph.flatbuffer import model_bytes, parse_model
    from tools.quantization.recipe_application import quiet_library
    from tools.quantization.recipes import float16, unquantized

    # It leaves this deprecated list as it is while it numbers buffers anew.
    model = parse_model(master)
    model.schema.metadataBuffer = None
    name = recipe_name.removeprefix("stock ")
    # Its recipes hold none of float16; this is its algorithm for every operator.
    entries = [float16()] if name == "float_casting" else getattr(recipe, name)()
    ranges = None
    with contextlib.redirect_stdout(io.StringIO()), quiet_library():
        if recipe_name in _NEEDS_DATA:
            entries = [*entries, unquantized(".*", "INPUT"), unquantized(".*", "OUTPUT")]
        library = quantizer.Quantizer(model_bytes(model), entries)
        if recipe_name in _NEEDS_DATA:
            with np.load(data) as file:
                arrays = {name: file[name] for name in file.files}
            samples = [
                dict(zip(arrays, rows, strict=True)) for rows in zip(*arrays.values(), strict=True)
            ]
            key = next(s.signatureKey for s in model.schema.signatureDefs if not s.subgraphIndex)
            key = key.decode() if isinstance(key, bytes) else key
            ranges = library.calibrate({key: samples})
        output.write_bytes(bytes(library.quantize(ranges).quantized_model))


class ForeignModel:
    """A file of somebody, ready to be tried in scheme after scheme."""

    def __init__(self, path: Path, folder: Path, seconds: float):
        """Makes its float master and random samples, and runs it.

        Args:
          path: of the .tflite file.
          folder: for what is made of it.
          seconds: that one step may take.
        """
        from tools.graph.float_master import make_float_master

        self.path, self.folder, self._seconds = path, folder, seconds
        original = path.read_bytes()
        self.bytes = len(original)
        self._data = folder / "samples.npz"
        self._test: dict[str, np.ndarray] = {}
        self._expected: list[np.ndarray] | None = None
        self.master = folder / "float.tflite"
        self.artifacts: dict[str, Path] = {}

        def samples(master: bytes):
            return [random_samples(master, *which) for which in (_CALIBRATION, _TEST)]

        made = in_child(lambda: make_float_master(original, str(path))[0], seconds)
        self.fault = "" if made.how == "done" else f"{made.how}: {made.result}"
        self.master.write_bytes(made.result if made.how == "done" else b"")
        if self.fault:
            return
        drawn = in_child(lambda: samples(made.result), seconds)
        if drawn.how != "done":
            self.fault = f"the runtime does not take the float model: {drawn.result}"
            return
        calibration, self._test = drawn.result
        np.savez(self._data, **calibration)
        ran = in_child(lambda: outputs_of(made.result, self._test), seconds)
        if ran.how == "done":
            self._expected = ran.result
        else:
            self.fault = f"the float model does not run: {ran.result}"

    def try_scheme(self, scheme: str) -> dict[str, Any]:
        """Quantizes it and runs what comes out.

        Args:
          scheme: one of SCHEMES.

        Returns:
          A part of a row: status, detail, sqnr_db, cosine, bytes_in, bytes_out, seconds. A
          status is "ok", "refused", "ok, float does not run", or else a fault.
        """
        output, said = self.folder / f"{scheme}.tflite".replace(" ", "_"), self.folder / "said"
        row: dict[str, Any] = {"bytes_in": self.bytes, "detail": ""}
        if scheme in OURS:
            work = lambda: _quantized(self.path, output, scheme, self._data, said)  # noqa: E731
        else:
            work = lambda: _stock(self.master.read_bytes(), output, scheme, self._data)  # noqa: E731
        if scheme in _NEEDS_DATA and not self._data.exists():
            if scheme not in OURS:
                return row | {"status": "refused", "detail": self.fault}
            np.savez(self._data, input=np.zeros((1, 1), np.float32))
        start = time.monotonic()
        made = in_child(work, self._seconds)
        row["seconds"] = round(time.monotonic() - start, 2)
        if made.how != "done":
            return row | {"status": self._status(made, output), "detail": made.result}
        artifact = output.read_bytes()
        row["bytes_out"] = len(artifact)
        if self._expected is None:
            return row | {"status": "ok, float does not run", "detail": self.fault}
        expected = self._expected
        ran = in_child(lambda: _compared(expected, artifact, self._test), self._seconds)
        if ran.how != "done":
            return row | {"status": "does not run", "detail": f"{ran.how}: {ran.result}"}
        self.artifacts[scheme] = output
        if scheme in OURS:
            warned = [line for line in said.read_text().splitlines() if "warning: " in line]
            row["detail"] = "; ".join(line.rpartition(f"{self.path}: ")[2] for line in warned)
        return row | {"status": "ok"} | ran.result

    def _status(self, made: Ended, output: Path) -> str:
        if made.how != "refused":
            return made.how
        return "bad refusal" if "\n" in made.result or output.exists() else "refused"

    def times(self, schemes: Sequence[str]) -> dict[str, float]:
        """Measures artifacts beside the float master, in turns.

        Args:
          schemes: of which `try_scheme` made an artifact.

        Returns:
          Scheme to its median time over the float master's; none where it cannot be had.
        """
        from tools.latency.backend import Options
        from tools.latency.devices import open_backend

        files = [self.master, *(self.artifacts[scheme] for scheme in schemes)]

        def work() -> list[list[float]]:
            with open_backend("host", files, Options(threads=1)) as backend:
                rounds = [backend.measure_round(number) for number in range(_ROUNDS)]
            return [[run.p50_ms for run in one.runs] for one in rounds]

        measured = in_child(work, self._seconds)
        if measured.how != "done":
            print(f"{self.path}: not timed: {measured.result}", file=sys.stderr)
            return {}
        rounds = np.array(measured.result)
        ratios = np.median(rounds[:, 1:] / rounds[:, :1], axis=0)
        return dict(zip(schemes, np.round(ratios, 3).tolist(), strict=True))


@contextlib.contextmanager
def foreign_model(path: Path, seconds: float):
    """Opens a `ForeignModel` with a folder that goes when it does."""
    with tempfile.TemporaryDirectory() as folder:
        yield ForeignModel(path, Path(folder), seconds)
