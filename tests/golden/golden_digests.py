"""What quantizing made when golden.json was written: digests of artifacts and reports.

A change that is meant to keep behaviour keeps them all. One that changes bytes on purpose
writes them again (`bazel run //tests/golden:record`) in the same commit, and says why.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.generated_models import chain
from tests.random_models import ModelBuilder, tiny_model
from tests.tools.commands import run_command
from tools import make_float_master, quantize_model, validate_quantized_model
from tools.command_line import EXIT_BAD_INPUT

# Their ranges come from running the float model, whose last bits differ between processors.
CALIBRATED = ("INT8", "FULL_INTEGER", "INT4", "INT16X8", "MIXED")
_SAMPLES = 12


@dataclass(frozen=True)
class Case:
    """A float model with its samples.

    Attributes:
      name: of the model.
      model: a .tflite file.
      calibration: folder of its representative dataset.
      test: folder of its held-out samples.
      layer: pattern of operators that MIXED gives another scheme.
    """

    name: str
    model: Path
    calibration: Path
    test: Path
    layer: str


def processor_kind() -> str:
    """Names what decides the last bits of float arithmetic: the widest vectors there are."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    flags = set(text.partition("flags")[2].partition("\n")[0].split())
    for kind in ("avx512_vnni", "avx512f", "avx2"):
        if kind in flags:
            return kind
    return "unknown"


def _two_inputs() -> bytes:
    """Makes a model of two images, whose features are added, and two outputs."""
    rng = np.random.default_rng(3)
    graph = ModelBuilder()
    features = []
    for name in ("left", "right"):
        image = graph.input((1, 12, 12, 3), name)
        weights = rng.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32)
        bias = rng.normal(0, 0.1, 8).astype(np.float32)
        result = graph.conv(image, graph.constant(weights), graph.constant(bias))
        features.append(graph.operator("RELU", [result], graph.shape(result)))
    total = graph.binary("ADD", *features)
    kernel = rng.normal(0, 0.3, (1, 3, 3, 8)).astype(np.float32)
    depthwise = graph.depthwise(
        total, graph.constant(kernel), graph.constant(np.zeros(8, np.float32))
    )
    outputs = []
    for name, channels in (("points", 6), ("score", 1)):
        weights = rng.normal(0, 0.3, (channels, 1, 1, 8)).astype(np.float32)
        head = graph.conv(
            depthwise, graph.constant(weights), graph.constant(np.zeros(channels, np.float32))
        )
        graph.subgraph.tensors[head].name = name
        outputs.append(head)
    return graph.finish(*outputs)


def _write_samples(folder: Path, seed: int, **shapes: tuple[int, ...]) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(_SAMPLES):
        values = {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
        np.savez(
            folder / f"{number:02}.npz",
            **{name: value.astype(np.float32) for name, value in values.items()},
        )
    return folder


def generated_cases(folder: Path) -> Iterator[Case]:
    """Makes three small models with samples.

    Args:
      folder: where their files go; it exists.
    """
    pair = {"left": (1, 12, 12, 3), "right": (1, 12, 12, 3)}
    for name, content, shapes, layer in (
        ("tiny", tiny_model(), {"image": (1, 16, 16, 3)}, "^scores"),
        ("chain", chain(8, 40_000), {"image": (1, 50)}, "^layer_1"),
        ("two_inputs", _two_inputs(), pair, "^points"),
    ):
        source = folder / f"{name}.source.tflite"
        source.write_bytes(content)
        model = folder / f"{name}.tflite"
        _run(make_float_master, f"--input_model={source}", f"--output_model={model}")
        yield Case(
            name,
            model,
            _write_samples(folder / f"{name}_calibration", 1, **shapes),
            _write_samples(folder / f"{name}_test", 2, **shapes),
            layer,
        )


def _run(command, *flags: str) -> None:
    result = run_command(command, *flags)
    if result.returncode:
        raise RuntimeError(f"{command.__name__} {' '.join(flags)}: {result.stderr}")


def digests(case: Case, scheme: str, folder: Path) -> dict[str, str]:
    """Quantizes and compares as a build does.

    Args:
      case: the model.
      scheme: one of SCHEMES.
      folder: where files go; it exists.

    Returns:
      SHA-256 of the artifact, of its recipe, and of its report without the versions of tools,
      or that the scheme is refused since it fits no operator.

    Raises:
      RuntimeError: when a command fails in another way.
    """
    stem = folder / f"{case.name}_{scheme.lower()}"
    made = {kind: Path(f"{stem}.{kind}") for kind in ("tflite", "recipe.json", "summary.json")}
    result = run_command(
        quantize_model,
        f"--input_model={case.model}",
        f"--output_model={made['tflite']}",
        f"--recipe_output={made['recipe.json']}",
        f"--summary_output={made['summary.json']}",
        f"--quantization_type={scheme}",
        *([f"--calibration_data={case.calibration}"] if scheme in CALIBRATED else []),
        *([f"--layers={case.layer}=weight_only_int8"] if scheme == "MIXED" else []),
    )
    if result.returncode == EXIT_BAD_INPUT:
        return {"refused": "fits no operator" if "fits no operator" in result.stderr else "?"}
    if result.returncode:
        raise RuntimeError(f"{case.name} {scheme}: {result.stderr}")
    report = Path(f"{stem}.report.json")
    _run(
        validate_quantized_model,
        f"--float_model={case.model}",
        f"--quantized_model={made['tflite']}",
        f"--summary={made['summary.json']}",
        f"--name={case.name}_{scheme.lower()}",
        f"--test_data={case.test}",
        f"--report={report}",
        "--report_only",
    )
    document = json.loads(report.read_text(encoding="utf-8"))
    document["tools"] = sorted(document["tools"])
    return {
        "artifact": hashlib.sha256(made["tflite"].read_bytes()).hexdigest(),
        "recipe": hashlib.sha256(made["recipe.json"].read_bytes()).hexdigest(),
        "report": hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
    }


def exact(found: dict[str, str], scheme: str) -> dict[str, str]:
    """Keeps of digests what is the same on every processor.

    Args:
      found: from `digests`.
      scheme: that they are of.
    """
    on_all = ("recipe", "refused") if scheme in CALIBRATED else ("artifact", "recipe", "refused")
    return {kind: digest for kind, digest in found.items() if kind in on_all}
