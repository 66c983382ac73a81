"""Writes, signs and checks the manifest of a release, without MLflow.

The signature is Ed25519 (RFC 8032) over the manifest's bytes: 64 bytes in a file beside it.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from tools.command_line import whole_file
from tools.documents.document import read_document, write_document
from tools.documents.release_manifest import ReleasedFile, ReleaseManifest
from tools.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_GENERATE = "`openssl genpkey -algorithm ed25519 -out key.pem` makes one"


def signature_path(manifest: Path) -> Path:
    """Gives the file that holds the signature of a manifest."""
    return manifest.with_name(manifest.name + ".sig")


def released_file(path: Path) -> ReleasedFile:
    """Describes a file of a release."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ReleasedFile(bytes=path.stat().st_size, name=path.name, sha256=digest)


def read_signing_key(path: Path) -> "Ed25519PrivateKey":
    """Reads a private key.

    Args:
      path: of a PEM file (PKCS #8) without a password.

    Raises:
      InputError: it is none of Ed25519.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (TypeError, ValueError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(
            "release.key",
            f"{path}: no private Ed25519 key in PEM without a password; {_GENERATE}",
        )
    return key


def write_release(path: Path, manifest: ReleaseManifest, key: "Ed25519PrivateKey | None") -> None:
    """Writes a manifest and, where there is a key, its signature beside it.

    Args:
      path: of the manifest.
      manifest: what to write.
      key: from `read_signing_key`.
    """
    # No signature of another manifest may stand beside this one at any moment.
    signature_path(path).unlink(missing_ok=True)
    write_document(path, manifest)
    if key is not None:
        with whole_file(signature_path(path)) as file:
            file.write(key.sign(path.read_bytes()))


def check_release(
    path: Path, public_key: Path | None, model: str | None, installed: Path | None
) -> ReleaseManifest:
    """Checks a manifest and the files beside it.

    Args:
      path: of the manifest.
      public_key: PEM file of whom to trust, or None to check no signature.
      model: name of the model that is wanted, or None for any.
      installed: manifest of what is in use, or None. An older release is refused.

    Returns:
      The manifest.

    Raises:
      InputError: the signature, the model, the age or a file is not right.
    """
    if public_key is not None:
        _check_signature(path, public_key)
    manifest = read_document(path, ReleaseManifest)
    if model is not None and manifest.model != model:
        raise InputError(
            "release.model", f"{path}: is of the model {manifest.model}, wanted is {model}"
        )
    if installed is not None:
        current = read_document(installed, ReleaseManifest)
        if manifest.issued_ms < current.issued_ms:
            raise InputError(
                "release.older",
                f"{path}: {manifest.model}@{manifest.version} was released before "
                f"{current.model}@{current.version} of {installed}, which is in use; fetch what "
                "the alias points at now",
            )
    for file in manifest.files:
        _check_file(path.parent / file.name, file)
    return manifest


def _check_signature(path: Path, public_key: Path) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key.read_bytes())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(
            "release.key",
            f"{public_key}: no public Ed25519 key in PEM; `openssl pkey -in key.pem -pubout` "
            "writes it",
        )
    try:
        key.verify(signature_path(path).read_bytes(), path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            "release.signature",
            f"{path}: has no signature beside it ({signature_path(path).name}); fetch it with "
            "--signing_key=",
        ) from None
    except InvalidSignature:
        raise InputError(
            "release.signature",
            f"{path}: the signature is not by the key of {public_key}, or the manifest was "
            "changed; do not use it",
        ) from None


def _check_file(path: Path, wanted: ReleasedFile) -> None:
    found = released_file(path)
    if found.bytes != wanted.bytes:
        raise InputError(
            "release.file",
            f"{path}: has {found.bytes:,} bytes, released were {wanted.bytes:,}; fetch it again",
        )
    if found.sha256 != wanted.sha256:
        raise InputError(
            "release.file",
            f"{path}: has sha256 {found.sha256[:12]}, released was {wanted.sha256[:12]}; fetch it "
            "again",
        )
