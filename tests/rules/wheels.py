"""Small wheels, and locks that name them."""

import hashlib
import zipfile
from pathlib import Path


def make_wheel(
    folder: Path, name: str = "tiny_package", version: str = "1.0", tags: str = "py3-none-any"
) -> Path:
    """Writes a wheel of one module and one console script.

    Args:
      folder: where to write it.
      name: of the package and its module.
      version: of the package.
      tags: Python, ABI and platform that it says it is for.

    Returns:
      The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-{tags}.whl"
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}/__init__.py": "VALUE = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{member},,\n" for member in members) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, text in {**members, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return wheel


def locked(wheel: Path, digest: str = "") -> str:
    """Gives a line of a lock for a wheel, by default with its true sha256."""
    digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
    name, version, *_ = wheel.name.split("-")
    return f"{name}=={version} --hash=sha256:{digest}\n"
