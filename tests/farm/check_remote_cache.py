#!/usr/bin/env python3
"""Builds as two users in two folders, with nginx as the remote cache between them.

    tests/farm/check_remote_cache.py

The first user builds all; the second, whose clone, home, output base and even Python lie
elsewhere, must get every action from the cache, and the same bytes. nginx is unpacked
from Debian's package, and not installed. Needs root (it makes the two users) on Debian;
about three minutes.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.farm import loopback
from tests.registry.tracking_server import free_port
from tools.farm.execution_log import Spawn, read_execution_log

_TARGETS = (
    "//models:face_int8",
    "//models:face_dynamic",
    "//models:face_float16",
)
_MNEMONICS = {"FloatMaster", "MakeSamples", "QuantizeModel", "CompareModels", "CheckGates"}

_NGINX = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        root {folder}/cache;
        location / {{
            dav_methods PUT;
            create_full_put_path on;
        }}
    }}
}}
"""


def nginx(folder: Path) -> loopback.Server:
    """Unpacks nginx and configures it as a cache; it is not started."""
    loopback.unpack_packages(["nginx", "nginx-common"], folder / "nginx")
    (folder / "cache").mkdir()
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, port=port))
    binary = folder / "nginx/usr/sbin/nginx"
    return loopback.Server([binary, "-c", configuration, "-p", folder], port, folder / "nginx.log")


def python_elsewhere(python: Path, home: Path) -> Path:
    """Gives a user the same Python at a path of its own."""
    prefix = home / "python"
    (prefix / "bin").mkdir(parents=True)
    shutil.copy(python, prefix / "bin" / python.name)
    (prefix / "lib").symlink_to("/usr/lib")
    return prefix / "bin" / python.name


def ours(spawns: list[Spawn]) -> dict[tuple, Spawn]:
    return {spawn.outputs[0].path: spawn for spawn in spawns if spawn.mnemonic in _MNEMONICS}


def test(folder: Path) -> None:
    folder.chmod(0o755)
    python = loopback.readable_python()
    server = nginx(folder)
    server.start()
    address = f"--remote_cache=http://127.0.0.1:{server.port}"
    homes = {"rq-first": folder / "homes/first", "rq-second": folder / "a/longer/way/second"}
    logs, digests = {}, {}
    try:
        for number, (user, home) in enumerate(homes.items()):
            with loopback.user_named(user, home):
                mine = python if number == 0 else python_elsewhere(python, home)
                checkout = loopback.Checkout(home / "rules_quantize", user, home, mine)
                try:
                    log = home / "log.json"
                    flags = [address, f"--execution_log_json_file={log}"]
                    # Who only reads cannot have put there what is found.
                    if number:
                        flags.append("--noremote_upload_local_results")
                    output = checkout.build(*flags, *_TARGETS)
                    summary = re.search(r"INFO: \d+ process(es)?: .*", output)
                    loopback.say(f"{user} in {checkout.folder}: {summary and summary[0]}")
                    logs[user] = ours(read_execution_log(log))
                    found = checkout.path("bazel-bin") / "models"
                    digests[user] = {
                        path.name: loopback.run(["sha256sum", path]).split()[0]
                        for path in sorted(found.glob("*.*"))
                        if path.suffix in (".tflite", ".json")
                    }
                    # What is in Bazel's action keys beside the inputs' own bytes.
                    check_free_of(json.dumps([spawn.command for spawn in logs[user].values()]),
                                  "commands and environments", home, user)  # fmt: skip
                finally:
                    checkout.remove()
    finally:
        server.stop()
    first, second = logs.values()
    loopback.check(len(first) >= 11, f"{len(first)} actions make samples, masters and artifacts")
    loopback.check(
        not any(spawn.cache_hit for spawn in first.values()), "the first user found none of them"
    )
    for output, spawn in first.items():
        other = second[output]
        different = set(spawn.inputs).symmetric_difference(other.inputs)
        names = sorted({entry.path for entry in different})[:3]
        loopback.check(not different, f"{output}: the same {len(spawn.inputs)} inputs {names}")
    hits = sum(spawn.cache_hit for spawn in second.values())
    loopback.check(
        hits == len(second) == len(first), f"the second user: {hits} of {len(second)} remote hits"
    )
    mine, other = digests.values()
    loopback.check(len(mine) >= 12 and mine == other, f"{len(mine)} files have the same bytes")


def check_free_of(text: str, what: str, home: Path, user: str) -> None:
    for word in (str(home), user, os.uname().nodename):
        if word in text:
            raise loopback.FarmError(f"{word} is in {what}")


if __name__ == "__main__":
    loopback.main_as_root(__doc__, "to make two users", test)
