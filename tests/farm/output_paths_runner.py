"""Runs an action of a Bazel that knows `output_files` only, with a runner that does not.

buildbox-worker starts this in place of a runner. The Remote Execution API of version 2.1
put `output_paths` in the place of `output_files` and `output_directories`; Bazel 4 sends
the old two, BuildBox reads only the new one. What the Command names is written there, and
the real runner does the rest. Needs BuildGrid's environment, for its protocol messages.

    output_paths_runner.py RUNNER... -- --action=FILE --remote=URL ...
"""

import hashlib
import os
import sys

import grpc
from buildgrid._protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2,
    remote_execution_pb2_grpc,
)


def with_output_paths(command: remote_execution_pb2.Command) -> remote_execution_pb2.Command:
    """Names the outputs as version 2.1 of the API does, unless they are."""
    if not command.output_paths:
        outputs = sorted({*command.output_files, *command.output_directories})
        command.output_paths.extend(outputs)
    del command.output_files[:], command.output_directories[:]
    return command


def digest_of(content: bytes) -> remote_execution_pb2.Digest:
    return remote_execution_pb2.Digest(
        hash=hashlib.sha256(content).hexdigest(), size_bytes=len(content)
    )


def main(words: list[str]) -> None:
    split = words.index("--")
    runner, flags = words[:split], words[split + 1 :]
    named = dict(word.split("=", 1) for word in flags if "=" in word)
    if "--action" in named:
        with open(named["--action"], "rb") as file:
            action = remote_execution_pb2.Action.FromString(file.read())
        channel = grpc.insecure_channel(named["--remote"].split("://")[-1])
        storage = remote_execution_pb2_grpc.ContentAddressableStorageStub(channel)
        read = storage.BatchReadBlobs(
            remote_execution_pb2.BatchReadBlobsRequest(digests=[action.command_digest])
        )
        command = remote_execution_pb2.Command.FromString(read.responses[0].data)
        content = with_output_paths(command).SerializeToString(deterministic=True)
        action.command_digest.CopyFrom(digest_of(content))
        upload = remote_execution_pb2.BatchUpdateBlobsRequest()
        upload.requests.add(digest=action.command_digest, data=content)
        storage.BatchUpdateBlobs(upload)
        with open(named["--action"], "wb") as file:
            file.write(action.SerializeToString(deterministic=True))
    os.execv(runner[0], [*runner, *flags])


if __name__ == "__main__":
    main(sys.argv[1:])
