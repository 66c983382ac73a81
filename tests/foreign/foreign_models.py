"""Command: tries a folder of .tflite files in every scheme and says what became of each.

Each file is quantized by the command, and its artifact run beside the float model, in
processes of their own: a crash is one line of the table. X.samples.npz beside X.tflite is
its calibration data; where there is none, it gets random samples (indices of a vocabulary
and masks among them are 0 or 1).
"""

import argparse
import contextlib
import json
import multiprocessing
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tools import quantize_model
from tools.command_line import EXIT_BAD_INPUT, new_parser, run, user_path
from tools.errors import InputError

SCHEMES = ("INT8", "DYNAMIC", "FLOAT16", "WEIGHT_ONLY_INT8", "INT16X8", "INT4")
_NEEDS_DATA = frozenset({"INT8", "INT16X8", "INT4"})
_SAMPLES = 16
_EXAMPLES = """\
  bazel run //tests/foreign:foreign_models -- --folder=~/models
  bazel run //tests/foreign:foreign_models -- --folder=~/models --scheme=INT8 --json=table.json
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "foreign_models", "Tries a folder of .tflite files in every scheme.", _EXAMPLES
    )
    result.add_argument("--folder", required=True, type=user_path, help="of .tflite files")
    result.add_argument("--only", default="*", help="pattern of the files' names")
    result.add_argument("--scheme", action="append", choices=SCHEMES, help="default: all")
    result.add_argument("--flag", action="append", default=[], help="of quantize_model")
    result.add_argument("--timeout", type=float, default=120, help="seconds a model and scheme")
    result.add_argument("--json", type=Path, help="file for the table")
    return result


def random_inputs(content: bytes, count: int, seed: int) -> dict[str, np.ndarray]:
    """Makes values for each input of a model's signature, [count, *shape].

    Args:
      content: a whole .tflite file with a signature.
      count: how many samples.
      seed: of the values.

    Returns:
      Signature input name to array, in the input's type.
    """
    from tools.graph.runtime import input_specifications

    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape, dtype in input_specifications(content, "model"):
        whole = (count, *shape)
        if dtype.kind == "f":
            arrays[name] = rng.normal(0, 1, whole).astype(dtype)
        elif dtype == np.uint8:
            arrays[name] = rng.integers(0, 256, whole).astype(dtype)
        else:
            arrays[name] = rng.integers(0, 2, whole).astype(dtype)
    return arrays


def _child(work, timeout: float) -> tuple[str, object]:
    """Does work in a forked process.

    Returns:
      ("done", what it returned), ("abort", the signal's name), ("traceback", its last line)
      or ("timeout", None).
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def target() -> None:
        try:
            theirs.send(("done", work()))
        except BaseException as error:
            theirs.send(("traceback", f"{type(error).__name__}: {error}"[:300]))

    process = context.Process(target=target)
    process.start()
    theirs.close()
    try:
        if not ours.poll(timeout):
            process.kill()
            return "timeout", None
        return ours.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        return "abort", signal.Signals(-code).name if code < 0 else f"exit {code}"
    finally:
        process.join()


def _quantize(path: Path, output: Path, scheme: str, data: Path | None, flags, errors: Path):
    """Runs the command; gives its exit status and what it wrote to standard error."""
    words = [
        f"--input_model={path}",
        f"--output_model={output}",
        f"--quantization_type={scheme}",
        *flags,
    ]
    if data is not None and scheme in _NEEDS_DATA:
        words.append(f"--calibration_data={data}")

    def work() -> tuple[int, str]:
        with errors.open("w") as file, contextlib.redirect_stderr(file):
            try:
                with contextlib.redirect_stdout(file):
                    arguments = quantize_model.parser().parse_args(words)
                    status = quantize_model.main(arguments)
            except InputError as error:
                return EXIT_BAD_INPUT, str(error)
            return status, ""

    return work


def _compare(original: bytes, artifact: bytes, inputs: dict[str, np.ndarray]):
    from tools.graph.float_master import make_float_master
    from tools.similarity.model_outputs import ModelOutputs

    def work() -> dict:
        master, _ = make_float_master(original)
        floating, made = ModelOutputs(master, "float"), ModelOutputs(artifact, "artifact")
        cosines, finite = [], True
        for number in range(8):
            sample = {name: values[number] for name, values in inputs.items()}
            pairs = zip(floating(sample), made(sample), strict=True)
            for place, (one, other) in enumerate(pairs):
                one, other = (np.asarray(v, np.float64).reshape(-1) for v in (one, other))
                if np.isfinite(one).all() and not np.isfinite(other).all():
                    finite = False
                size = np.linalg.norm(one) * np.linalg.norm(other)
                same = not one.size or np.array_equal(one, other)
                cosine = 1.0 if same else float(one @ other / size) if size else 0.0
                cosines.append((place, cosine))
        types = [
            [str(np.dtype(d["dtype"])) for d in one._interpreter.get_output_details()]
            for one in (floating, made)
        ]
        worst = min((cosine for _, cosine in cosines), default=1.0)
        return {"cosine": worst, "finite": finite, "types": types}

    return work


def try_model(path: Path, scheme: str, flags, timeout: float) -> dict:
    """Quantizes one file in one scheme and runs what comes out.

    Args:
      path: of a .tflite file.
      scheme: one of SCHEMES.
      flags: more words for the command.
      timeout: seconds.

    Returns:
      {"model", "scheme", "status", "detail", "cosine", "bytes", "seconds"}.
    """
    from tools.graph.float_master import make_float_master

    row = {"model": path.stem, "scheme": scheme, "detail": "", "cosine": None, "bytes": None}
    original = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        data, output = Path(folder, "samples.npz"), Path(folder, "out.tflite")
        own = path.with_name(f"{path.stem}.samples.npz")
        what, inputs = "done", None
        if own.exists():
            with np.load(own) as file:
                inputs = {name: file[name] for name in file.files}
        else:
            what, inputs = _child(
                lambda: random_inputs(make_float_master(original)[0], _SAMPLES, 0), timeout
            )
        if what == "done":
            np.savez(data, **inputs)
        start = time.monotonic()
        errors = Path(folder, "stderr")
        work = _quantize(path, output, scheme, data if data.exists() else None, flags, errors)
        what, result = _child(work, timeout)
        row["seconds"] = round(time.monotonic() - start, 2)
        if what != "done":
            return row | {"status": what, "detail": str(result)}
        status, line = result
        if status:
            one = "\n" not in line and not output.exists()
            return row | {"status": "refused" if one else "BAD REFUSAL", "detail": line}
        artifact = output.read_bytes()
        warned = [line for line in errors.read_text().splitlines() if "warning" in line]
        row |= {"bytes": [len(original), len(artifact)], "detail": "; ".join(warned)}
        if inputs is None or not data.exists():
            return row | {"status": "ok, not run"}
        test = inputs if own.exists() else random_inputs_again(original, timeout)
        what, found = _child(_compare(original, artifact, test), timeout)
        if what != "done":
            return row | {"status": f"RUN {what}", "detail": str(found)}
        before, after = found["types"]
        status = "ok"
        if before != after:
            status = f"TYPES {before} -> {after}"
        if not found["finite"]:
            status = "NAN"
        return row | {"status": status, "cosine": found["cosine"]}


def random_inputs_again(original: bytes, timeout: float) -> dict[str, np.ndarray]:
    """Makes test samples that are not the calibration's."""
    from tools.graph.float_master import make_float_master

    _, inputs = _child(lambda: random_inputs(make_float_master(original)[0], 8, 1), timeout)
    return inputs


def main(arguments: argparse.Namespace) -> int:
    for name in quantize_model.IMPORTS:
        __import__(name)
    rows = []
    for path in sorted(arguments.folder.rglob(f"{arguments.only}.tflite")):
        for scheme in arguments.scheme or SCHEMES:
            row = try_model(path, scheme, arguments.flag, arguments.timeout)
            cosine = "" if row["cosine"] is None else f"{row['cosine']:.5f}"
            size = "" if row["bytes"] is None else f"{row['bytes'][1] / row['bytes'][0]:.2f}"
            print(
                f"{row['model'][:44]:44} {scheme:16} {row['status'][:40]:12} {cosine:8} {size:5} "
                f"{row['seconds']:6.2f} {row['detail'][:240]}",
                flush=True,
            )
            rows.append(row)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(parser(), main))
