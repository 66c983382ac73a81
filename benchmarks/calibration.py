"""Times calibration against running the float model, and against the library's calibrators.

    bazel run //benchmarks:calibration -- --samples=500 --threads=2 --json=calibration.json

Each run is a process of its own; the ways take turns, and medians are printed. Loading
images counts where samples are images: every way loads them. Memory is the largest
resident size of the process and of its largest child, imports included, with images as
samples, at a fifth of the samples and at all of them.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tools.command_line import new_parser, run, user_path, whole_file

_EXAMPLES = "  calibration --samples=500 --threads=2 --rounds=3 --json=calibration.json"

_WAYS = {
    "float_model": "float model, no calibration",
    "ours": "ours: extremes of tensors and channels",
    "ours_means": "ours: and channel means",
    "ours_histograms": "ours: histograms, all tensors",
    "library_profiler": "library, CALIBRATION_PROFILER_BASED",
    "library": "library, by default",
}
_DISTINCT = 50


def parser() -> argparse.ArgumentParser:
    result = new_parser("calibration", "Times calibration.", _EXAMPLES)
    result.add_argument("--model", type=user_path, help="a .tflite file (pose_landmark_full)")
    result.add_argument("--samples", type=int, default=500, help="(%(default)s)")
    result.add_argument("--threads", type=int, default=2, help="or processes (%(default)s)")
    result.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    result.add_argument(
        "--ways", default=",".join(_WAYS), help=f"of {', '.join(_WAYS)} (default: all)"
    )
    result.add_argument("--input_mean", type=float, default=0, help="(%(default)s)")
    result.add_argument("--input_std", type=float, default=255, help="(%(default)s)")
    result.add_argument("--json", type=user_path, help="file for the figures")
    result.add_argument("--one", choices=sorted(_WAYS), help=argparse.SUPPRESS)
    result.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    result.add_argument("--arrays", action="store_true", help=argparse.SUPPRESS)
    return result


def _model_path(given: Path | None) -> Path:
    if given:
        return given
    folder = os.environ.get("RULES_QUANTIZE_MODELS")
    if folder:
        return Path(folder, "pose_landmark_full.tflite")
    from runfiles import Runfiles

    return Path(Runfiles.Create().Rlocation("mediapipe_models/pose_landmark_full.tflite"))


def _usage() -> tuple[float, float]:
    """Gives (CPU seconds, seconds) of this process and of its children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent), time.perf_counter()


def _one(arguments: argparse.Namespace) -> dict:
    """Runs one way, in this process."""
    from tools.graph.flatbuffer import parse_model, read_bytes
    from tools.graph.float_master import make_float_master
    from tools.graph.runtime import input_specifications, open_interpreter
    from tools.quantization.calibration import gather_histograms, gather_statistics
    from tools.samples.loading import InputSpec, Preprocessing, load_samples

    path = _model_path(arguments.model)
    master, _ = make_float_master(read_bytes(path), path.name)
    inputs = [InputSpec(*one) for one in input_specifications(master, path.name)]
    how = Preprocessing(arguments.input_mean, arguments.input_std)
    samples = load_samples([arguments.folder], inputs, how)
    if arguments.arrays:
        distinct = [samples[number] for number in range(min(_DISTINCT, len(samples)))]
        samples = [distinct[number % len(distinct)] for number in range(len(samples))]
    model = parse_model(master, path.name)

    def float_model() -> None:
        interpreter = open_interpreter(master, path.name, threads=arguments.threads)
        details = interpreter.get_input_details()
        for sample in samples:
            for spec, place in zip(inputs, details, strict=True):
                interpreter.set_tensor(place["index"], sample[spec.name])
            interpreter.invoke()

    def ours(**wanted) -> None:
        found = gather_statistics(model, samples, processes=arguments.threads, **wanted)
        # Statistics are computed from what was gathered when they are first asked for.
        next(iter(found.values()))

    def histograms() -> None:
        found = gather_statistics(model, samples, processes=arguments.threads)
        reach = {
            index: max(-float(one.lowest.min()), float(one.highest.max()))
            for index, one in found.items()
        }
        gather_histograms(model, samples, reach, processes=arguments.threads)

    def library(mode: str) -> None:
        from litert_quantizer import calibrator, quantizer, recipe

        quantizer.Quantizer(master, recipe.static_wi8_ai8()).calibrate(
            {"serving_default": samples},
            num_threads=arguments.threads,
            mode=getattr(calibrator.CalibrationMode, mode),
        )

    ways = {
        "float_model": float_model,
        "ours": ours,
        "ours_means": lambda: ours(means=True),
        "ours_histograms": histograms,
        "library_profiler": lambda: library("CALIBRATION_PROFILER_BASED"),
        "library": lambda: library("CALIBRATION_PRESERVE_ALL_TENSORS"),
    }
    processor, clock = _usage()
    ways[arguments.one]()
    processor_after, clock_after = _usage()
    peaks = [
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return {
        "cpu_seconds": processor_after - processor,
        "peak_bytes": peaks[0],
        "peak_bytes_of_child": peaks[1],
        "seconds": clock_after - clock,
    }


def _write_images(folder: Path, count: int) -> None:
    """Writes images that are as hard to decode as photographs: smooth, with some noise."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:05}.png"
        if number >= _DISTINCT:
            os.link(folder / f"{number % _DISTINCT:05}.png", path)
            continue
        small = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(small).resize((256, 256), Image.Resampling.BICUBIC))
        noise = rng.normal(0, 4, smooth.shape)
        Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)).save(path)


def _measure(arguments: argparse.Namespace, way: str, folder: Path, arrays: bool) -> dict:
    command = [sys.executable, __file__, f"--one={way}", f"--folder={folder}"]
    command += [f"--threads={arguments.threads}", f"--model={_model_path(arguments.model)}"]
    command += [f"--input_mean={arguments.input_mean}", f"--input_std={arguments.input_std}"]
    command += ["--arrays"] if arrays else []
    # Bars of the library's would be drawn on the terminal.
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(finished.stderr)
    return json.loads(finished.stdout.splitlines()[-1])


def main(arguments: argparse.Namespace) -> int:
    if arguments.one:
        print(json.dumps(_one(arguments)))
        return 0
    ways = arguments.ways.split(",")
    figures: dict = {
        "memory": {},
        "model": _model_path(arguments.model).name,
        "samples": arguments.samples,
        "threads": arguments.threads,
        "time": {},
    }
    with tempfile.TemporaryDirectory() as name:
        folders = {
            count: Path(name, str(count)) for count in (arguments.samples // 5, arguments.samples)
        }
        for count, folder in folders.items():
            folder.mkdir()
            _write_images(folder, count)
        whole = folders[arguments.samples]
        for kind in ("arrays", "images"):
            found: dict[str, list[dict]] = {way: [] for way in ways}
            for _ in range(arguments.rounds):
                for way in ways:
                    found[way].append(_measure(arguments, way, whole, kind == "arrays"))
            figures["time"][kind] = _medians(found)
            _print_times(kind, figures["time"][kind], arguments)
        print(f"\npeak memory in MB, {arguments.samples // 5} and {arguments.samples} images")
        for way in ways:
            peaks = {
                count: _measure(arguments, way, folder, False) for count, folder in folders.items()
            }
            figures["memory"][way] = {
                str(count): [one["peak_bytes"], one["peak_bytes_of_child"]]
                for count, one in peaks.items()
            }
            texts = [
                f"{one['peak_bytes'] / 1e6:8.0f} +{one['peak_bytes_of_child'] / 1e6:5.0f} a child"
                for one in peaks.values()
            ]
            print(f"  {_WAYS[way]:42}{''.join(texts)}")
    if arguments.json:
        with whole_file(arguments.json, "w") as file:
            file.write(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    return 0


def _medians(found: dict[str, list[dict]]) -> dict[str, dict[str, float]]:
    return {
        way: {
            name: statistics.median(one[name] for one in runs)
            for name in ("seconds", "cpu_seconds")
        }
        for way, runs in found.items()
    }


def _print_times(kind: str, times: dict, arguments: argparse.Namespace) -> None:
    print(f"\n{arguments.samples} samples as {kind}, {arguments.threads} threads or processes")
    print(f"  {'':42}{'seconds':>9}{'ratio':>8}{'CPU s':>9}{'ratio':>8}")
    base = times.get("float_model")
    for way, one in times.items():
        line = f"  {_WAYS[way]:42}"
        for name in ("seconds", "cpu_seconds"):
            ratio = f"{one[name] / base[name]:8.2f}" if base else ""
            line += f"{one[name]:9.2f}{ratio}"
        print(line)


if __name__ == "__main__":
    run(parser(), main)
