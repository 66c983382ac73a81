"""Command: makes a MediaPipe `.task` bundle of models, or replaces the models of one."""

import argparse
import math

from tools.command_line import new_parser, output_path, path_of_part, run, user_path, whole_file
from tools.errors import InputError

_EXAMPLES = """\
  make_task_bundle --output_bundle=hand_landmarker.task \\
      --member=hand_detector.tflite=palm_int8.tflite \\
      --member=hand_landmarks_detector.tflite=hand_int8.tflite
  make_task_bundle --output_bundle=hand_landmarker_int8.task --input_bundle=hand_landmarker.task \\
      --member=hand_detector.tflite=palm_int8.tflite
  make_task_bundle --output_bundle=pose_landmarker.task \\
      --member=pose_detector.tflite=pose_detection.tflite \\
      --member=pose_landmarks_detector.tflite=pose_landmark_full.tflite \\
      --input_normalization=pose_landmarks_detector.tflite=0,255

Members are stored and aligned as MediaPipe maps them. docs/how-to/bundles.md has the names that
each of MediaPipe's tasks looks for.
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "make_task_bundle",
        "Makes a .task bundle of MediaPipe Tasks, or one like another with other models.",
        _EXAMPLES,
    )
    result.add_argument("--output_bundle", required=True, type=output_path, help="file to write")
    result.add_argument(
        "--input_bundle", type=user_path, help="a bundle whose members are taken over"
    )
    result.add_argument(
        "--member",
        action="append",
        default=[],
        type=path_of_part,
        metavar="NAME=FILE",
        help="what the member NAME is: one more, or in place of the one in --input_bundle; in a "
        "bundle in the bundle it is INNER.task/NAME; may be given several times",
    )
    result.add_argument(
        "--input_normalization",
        action="append",
        default=[],
        metavar="NAME=MEAN,STD",
        help="(pixel - MEAN) / STD is the input of the model NAME: written into its metadata where "
        "that does not say it, which MediaPipe needs; may be given several times",
    )
    return result


def _mean_and_std(name: str, value: str) -> tuple[float, float]:
    try:
        mean, std = (float(number) for number in value.split(","))
    except ValueError:
        mean, std = math.nan, math.nan
    if not (math.isfinite(mean) and math.isfinite(std) and std):
        raise InputError(
            "flag.value", f"--input_normalization={name}={value}: give MEAN,STD such as 127.5,127.5"
        )
    return mean, std


def main(arguments: argparse.Namespace) -> int:
    from tools.bundle.member_flags import name_and_value
    from tools.bundle.task_bundle import (
        MAXIMUM_BYTES,
        Member,
        read_task_bundle,
        replace_models,
        task_bundle_bytes,
    )
    from tools.graph.model_metadata import add_image_metadata

    where = str(arguments.output_bundle)
    files = name_and_value("member", arguments.member)
    normalization = {
        name: _mean_and_std(name, value)
        for name, value in name_and_value(
            "input_normalization", arguments.input_normalization
        ).items()
    }
    members = []
    if arguments.input_bundle:
        members = read_task_bundle(arguments.input_bundle.read_bytes(), str(arguments.input_bundle))
    contents = {}
    for name, path in files.items():
        size = user_path(path).stat().st_size
        if size > MAXIMUM_BYTES:
            raise InputError(
                "bundle.too_large", f"{path}: {size} bytes; a bundle holds at most {MAXIMUM_BYTES}"
            )
        contents[name] = user_path(path).read_bytes()
    models = set()

    def replaced(path: str, content: bytes) -> bytes:
        models.add(path)
        content = contents.pop(path, content)
        if path in normalization:
            content = add_image_metadata(content, *normalization[path], f"{where}/{path}")
        return content

    # What is no model, or a model of no ending, may be in the input bundle as well.
    members = [Member(member.name, contents.pop(member.name, member.content)) for member in members]
    members += [Member(name, contents.pop(name)) for name in list(contents) if ".task/" not in name]
    members = replace_models(members, replaced, where)
    for name in contents:
        raise InputError(
            "bundle.member", f"{where}: --member names {name}, and no bundle in the bundle has it"
        )
    for name in sorted(set(normalization) - models):
        raise InputError(
            "bundle.member", f"{where}: --input_normalization names {name}, which is no model in it"
        )
    bundle = task_bundle_bytes(members, where)
    with whole_file(arguments.output_bundle) as file:
        file.write(bundle)
    return 0


if __name__ == "__main__":
    run(parser(), main)
