"""Command: makes a bundle of a model's variants, from which an app chooses on the device."""

import argparse
import hashlib

from tools.command_line import new_parser, output_path, path_of_part, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  make_model_bundle --output_bundle=face.zip --name=face --version=1.0.0 \\
      --variant=high=face_float16.tflite --variant=low=face_int8.tflite
  make_model_bundle --output_bundle=face.zip --name=face --version=1.0.0 \\
      --variant=high=face_float16.tflite --variant=low=face_int8.tflite \\
      --specification=tiers.json --measured_fps=fps.json

where tiers.json is, for example, {"policy": {"min_fps": 30}, "requires": {"high": {"ram_mb":
4096, "delegates": ["gpu"]}}}. docs/how-to/bundles.md has all that may be in it.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "make_model_bundle",
        "Makes a zip of a model's variants and the manifest by which an app chooses among them.",
        _EXAMPLES,
    )
    result.add_argument("--output_bundle", required=True, type=output_path, help="zip to write")
    result.add_argument("--name", required=True, help="of the bundle")
    result.add_argument("--version", required=True, help="of the bundle")
    result.add_argument(
        "--variant",
        action="append",
        default=[],
        type=path_of_part,
        metavar="NAME=FILE",
        help="a .tflite; given several times, the best first",
    )
    result.add_argument(
        "--report",
        action="append",
        default=[],
        type=path_of_part,
        metavar="NAME=FILE",
        help="report of the variant NAME, for its scheme and version",
    )
    result.add_argument("--specification", type=user_path, help="JSON: policy and requires")
    result.add_argument(
        "--measured_fps", type=user_path, help="JSON: frames a second that somebody measured"
    )
    result.add_argument("--manifest_output", type=output_path, help="JSON file for the manifest")
    return result


def main(arguments: argparse.Namespace) -> int:
    from tools.bundle.member_flags import name_and_value
    from tools.bundle.model_bundle import Variant, make_manifest, model_bundle_bytes
    from tools.documents.document import read_document, write_document
    from tools.documents.json_file import read_json
    from tools.documents.model_bundle import MeasuredFps
    from tools.documents.report import Report
    from tools.graph.flatbuffer import read_bytes

    where = str(arguments.output_bundle)
    files = name_and_value("variant", arguments.variant)
    reports = name_and_value("report", arguments.report)
    for name in sorted(set(reports) - set(files)):
        raise InputError("bundle.member", f"{where}: --report names {name}, which is no variant")
    specification = read_json(arguments.specification) if arguments.specification else {}
    if not isinstance(specification, dict) or set(specification) - {"policy", "requires"}:
        raise InputError(
            "bundle.field", f"{arguments.specification}: not an object of policy and requires"
        )
    variants = []
    for name, path in files.items():
        content = read_bytes(user_path(path))
        scheme = version = ""
        if name in reports:
            report = read_document(user_path(reports[name]), Report)
            scheme, version = report.scheme, report.version
            if report.artifact.sha256 != hashlib.sha256(content).hexdigest():
                raise InputError(
                    "document.other",
                    f"{reports[name]}: the report is of another artifact than {path}",
                )
        variants.append(Variant(name, content, scheme, version))
    manifest = make_manifest(
        arguments.name,
        arguments.version,
        variants,
        specification.get("policy", {}),
        specification.get("requires", {}),
        read_document(arguments.measured_fps, MeasuredFps) if arguments.measured_fps else None,
        where,
        str(arguments.measured_fps),
    )
    with whole_file(arguments.output_bundle) as file:
        file.write(model_bundle_bytes(manifest, variants))
    if arguments.manifest_output:
        write_document(arguments.manifest_output, manifest)
    return 0


if __name__ == "__main__":
    run(parser(), main)
