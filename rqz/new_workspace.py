"""`rqz init`: writes a Bazel workspace for a model, with what the model itself says."""

import argparse
import dataclasses
import hashlib
import json
import re
import shutil
from pathlib import Path

from rqz.version import version
from tools.command_line import new_parser, output_folder, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  rqz init face.tflite --rules=../rules_quantize
  rqz init face.tflite --folder=face --rules=https://example.com/rules_quantize-0.1.0.tar.gz
  rqz init face.tflite --rules=rules_quantize-0.1.0.tar.gz --workspace --scheme=dynamic"""

_BAZELRC = """\
build --incompatible_strict_action_env

# Bazel 4 judges the gates in a build only with this; later versions do by themselves.
build --experimental_run_validations

# Debian's own rc turns sandbox_debug on: pages for every action.
build --nosandbox_debug

# What a failed test says, on the screen and not in a file alone.
test --test_output=errors
"""

_IMAGES = "images like those that your app sees: JPEG, PNG, WebP and others"
_DATA = {
    "calibration": "100 to 500 {kind}. Quantizing takes the ranges of values from them.\n",
    "test": "{kind} that are not in calibration/. The quantized model is judged by them.\n",
}

_FILES = """\
filegroup(
    name = "{place}_data",
    srcs = glob(
        ["{place}/**"],
        allow_empty = True,
        exclude = ["{place}/README.md"],
    ),
)
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "init",
        "Writes a Bazel workspace that quantizes a float .tflite, and folders for its data. It "
        "reads inputs, normalisation and outputs from the model.",
        _EXAMPLES,
    )
    result.add_argument("model", type=user_path, help="a float .tflite")
    result.add_argument(
        "--rules",
        required=True,
        help="where rules_quantize lies: a folder, or the .tar.gz of a release as a file or an URL",
    )
    result.add_argument(
        "--folder",
        type=output_folder,
        default=user_path("."),
        help="where the workspace is made (default: .)",
    )
    result.add_argument(
        "--workspace",
        action="store_true",
        help="write a WORKSPACE, which Bazel 4.2 to 8 read, and no MODULE.bazel, for Bazel 7 on",
    )
    result.add_argument("--scheme", default="int8", help="of the quantized model (default: int8)")
    return result


@dataclasses.dataclass(frozen=True)
class Found:
    """What a model says of itself.

    Attributes:
      inputs: (name, shape with the batch, type) of each.
      outputs: (name, shape with the batch, type) of each.
      normalization: (mean, std) in pixel units as its metadata has them; None where it has none.
    """

    inputs: list[tuple[str, tuple[int, ...], str]]
    outputs: list[tuple[str, tuple[int, ...], str]]
    normalization: tuple[float, float] | None

    @property
    def takes_images(self) -> bool:
        """Whether the one input is an image of one or three channels."""
        shapes = [shape for _, shape, _ in self.inputs]
        return len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][-1] in (1, 3)

    @property
    def scores(self) -> str | None:
        """The name of the output, where its form is that of a classifier's: a number a class."""
        if not self.takes_images or len(self.outputs) != 1:
            return None
        name, shape, _ = self.outputs[0]
        return name if len(shape) == 2 and shape[0] == 1 and shape[1] > 1 else None


def look_at(content: bytes, where: str) -> Found:
    """Reads what a float model says of itself.

    Args:
      content: the whole file.
      where: how messages name it.

    Returns:
      What was found.

    Raises:
      InputError: when it is no float model that the rules take.
    """
    from tools.graph.flatbuffer import model_to_read, shape_of, tensor_name, type_name
    from tools.graph.float_master import make_float_master
    from tools.graph.model_metadata import normalization
    from tools.graph.runtime import input_specifications

    master, _ = make_float_master(content, where)
    graph = model_to_read(master, where).schema.subgraphs[0]
    outputs = [graph.tensors[index] for index in graph.outputs]
    return Found(
        inputs=[
            (name, shape, dtype.name) for name, shape, dtype in input_specifications(master, where)
        ],
        outputs=[(tensor_name(one), shape_of(one), type_name(one).lower()) for one in outputs],
        normalization=normalization(master),
    )


def _target_of(model: Path) -> str:
    """Names the float master by the file, in letters that every Bazel takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", model.stem).strip("_.") or "model"


def _quoted(text: str) -> str:
    """Writes a string of Starlark."""
    return json.dumps(text, ensure_ascii=False)


def build_file(found: Found, name: str, model: str, scheme: str) -> str:
    """Writes the BUILD.bazel.

    Args:
      found: what the model says of itself.
      name: of the float master's target.
      model: name of the .tflite file.
      scheme: of the artifact.

    Returns:
      The text.
    """
    lines = [f"#   {way} {text} {shape} {kind}" for way, entries in (
        ("input ", found.inputs), ("output", found.outputs)
    ) for text, shape, kind in entries]  # fmt: skip
    if found.normalization:
        mean, std = found.normalization
        lines.append(
            f"# Its metadata says how pixels become its input: (pixel - {mean:g}) / {std:g}."
        )
    elif found.takes_images:
        lines.append(
            "# It does not say how pixels become its input: the rules take (pixel - 127.5) / 127.5."
        )
        lines.append("# input_mean and input_std of float_model say otherwise.")
    names = ["float_model", "quality_gates", "quantized_model"]
    task = ""
    if found.scores:
        names.insert(0, "classification")
        task = f"    task = classification(scores = {_quoted(found.scores)}),\n"
    loads = "".join(f"    {_quoted(one)},\n" for one in names)
    gates = "        tolerance = 0.05,  # 1 - mean cosine similarity of each output\n"
    if found.scores:
        gates += "        min_top1_agreement = 0.95,\n"
    comments = "\n".join(lines)
    data = "\n".join(_FILES.format(place=place) for place in _DATA)
    return f"""\
load(
    "@rules_quantize//rules:defs.bzl",
{loads})

# {model}:
{comments}
float_model(
    name = {_quoted(name)},
    src = {_quoted(model)},
{task})

{data}
quantized_model(
    name = {_quoted(f"{name}_{scheme}")},
    calibration_data = ":calibration_data",
    model = {_quoted(f":{name}")},
    quality = quality_gates(
{gates}    ),
    scheme = {_quoted(scheme)},
    test_data = ":test_data",
    version = "1.0.0",
)
"""


def _call(function: str, **fields: str | list[str]) -> str:
    """Writes a call in Starlark, with the fields that are not empty."""
    lines = [
        f"    {name} = {json.dumps(value, ensure_ascii=False)},\n"
        for name, value in sorted(fields.items())
        if value
    ]
    return f"{function}(\n{''.join(lines)})\n"


@dataclasses.dataclass(frozen=True)
class Rules:
    """Where these rules lie.

    Attributes:
      path: of a folder, "" for an archive.
      url: of an archive, "" for a folder.
      sha256: of the archive, "" where it is not on this machine.
    """

    path: str = ""
    url: str = ""
    sha256: str = ""

    def _archive(self) -> dict[str, str | list[str]]:
        prefix = f"rules_quantize-{version()}"
        return {"sha256": self.sha256, "strip_prefix": prefix, "urls": [self.url]}

    def module(self) -> str:
        """Writes a MODULE.bazel."""
        if self.path:
            where = _call("local_path_override", module_name="rules_quantize", path=self.path)
        else:
            where = _call("archive_override", module_name="rules_quantize", **self._archive())
        return f'bazel_dep(name = "rules_quantize", version = "{version()}")\n{where}'

    def workspace(self) -> str:
        """Writes a WORKSPACE."""
        if self.path:
            where = _call("local_repository", name="rules_quantize", path=self.path)
        else:
            where = (
                'load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")\n\n'
                + _call("http_archive", name="rules_quantize", **self._archive())
            )
        return f"""\
{where}
load(
    "@rules_quantize//rules:dependencies.bzl",
    "remote_coverage_tools",
    "rules_quantize_dependencies",
)

rules_quantize_dependencies()

# `bazel test` without GitHub, on Bazel 4 to 6.
remote_coverage_tools()
"""


def find_rules(text: str) -> Rules:
    """Reads what --rules names.

    Raises:
      InputError: when it is neither an URL, nor an archive, nor a folder of these rules.
    """
    if re.match(r"https?://", text):
        return Rules(url=text)
    path = user_path(text).resolve()
    if path.is_dir():
        if not (path / "rules/defs.bzl").is_file():
            raise InputError(
                "flag.value",
                f"--rules={text}: the folder has no rules/defs.bzl; name a checkout "
                "or an unpacked release of rules_quantize",
            )
        return Rules(path=str(path))
    return Rules(url=path.as_uri(), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _refuse_what_is_there(folder: Path, names: list[str]) -> None:
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise InputError(
            "file.taken",
            f"{folder}: {', '.join(there)} is there already, and init replaces nothing; name "
            "another --folder",
        )


def _data_kind(found: Found) -> str:
    """Says what the data folders are for."""
    if found.takes_images:
        return _IMAGES
    inputs = ", ".join(f"{name} {shape[1:]} {kind}" for name, shape, kind in found.inputs)
    return f"samples as .npy or .npz files, named by input: {inputs}"


def main(arguments: argparse.Namespace) -> int:
    from tools.graph.flatbuffer import read_bytes
    from tools.quantization.scheme_names import SCHEMES

    model, folder = arguments.model, arguments.folder
    # Not what is the same under another name, and not what says nothing without `layers`.
    schemes = [one.lower() for one in SCHEMES if one not in ("FULL_INTEGER", "MIXED")]
    scheme = arguments.scheme.lower()
    if scheme not in schemes:
        raise InputError("scheme.unknown", f"--scheme={scheme}: choose one of {', '.join(schemes)}")
    content = read_bytes(model)
    found = look_at(content, str(model))
    rules = find_rules(arguments.rules)
    name = _target_of(model)
    files = {
        "WORKSPACE" if arguments.workspace else "MODULE.bazel": (
            rules.workspace() if arguments.workspace else rules.module()
        ),
        "BUILD.bazel": build_file(found, name, model.name, scheme),
        ".bazelrc": _BAZELRC,
    }
    for place, text in _DATA.items():
        line = text.format(kind=_data_kind(found))
        files[f"{place}/README.md"] = line[:1].upper() + line[1:]
    copy = folder / model.name
    is_in_place = copy.exists() and copy.samefile(model)
    _refuse_what_is_there(folder, [*files, *([] if is_in_place else [model.name])])
    for place, text in files.items():
        with whole_file(folder / place, "w") as file:
            file.write(text)
    if not is_in_place:
        shutil.copyfile(model, copy)
    print(f"{folder}: a workspace for {model.name}: {', '.join(files)}")
    print(
        f"next, in {folder}:\n"
        f"  bazel build //:{name}        # the float master; it needs no data\n"
        "  put your samples into calibration/, and others into test/, then\n"
        f"  bazel build //:{name}_{scheme}   # the quantized model, judged by its gates\n"
        "  bazel test //...            # the gates as a table, and the speed"
    )
    return 0
