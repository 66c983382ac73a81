"""Reads settings from a file in any of three forms.

- `rules_quantize.settings` JSON (tools.quantization.settings).
- A recipe of litert-quantizer: a JSON list of entries, applied as it stands to the
  prepared graph.
- A text form in the manner of protobuf's, for layers only:

      quantization_type: "INT8"
      layer_params { layer_name: "attention" quantize: false }
      layer_params { layer_name: "conv_7" scheme: "weight_only_int4" }

  `layer_name` is a pattern; `quantize: false` stands for `scheme: "float"`. The type may
  be left out, and is then given elsewhere. "#" begins a comment.
"""

import dataclasses
import re
from pathlib import Path

from tools.documents.json_file import parse_json
from tools.errors import InputError
from tools.quantization.recipes import check_recipe
from tools.quantization.scheme_names import canonical_layer_scheme, canonical_scheme
from tools.quantization.settings import QuantizationSettings, settings_from_json

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<word>\w+)"""
    r"""|(?P<mark>[{}:;,])""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")


@dataclasses.dataclass(frozen=True)
class SettingsFile:
    """What a file says.

    Attributes:
      scheme: None where it does not say.
      settings: all of it, where the file is whole: settings or a recipe.
      layers: of the text form.
    """

    scheme: str | None
    settings: QuantizationSettings | None = None
    layers: tuple[tuple[str, str], ...] = ()


class _Tokens:
    """The words of a text, one after another, with their lines."""

    def __init__(self, text: str, where: str):
        self.where = where
        self.left: list[tuple[str, str, int]] = []
        at, line = 0, 1
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise InputError(
                    "settings.syntax", f"{where}: line {line}: {text[at]!r} was not expected here"
                )
            if found.lastgroup:
                self.left.append((found.lastgroup, found.group(), line))
            line += found.group().count("\n")
            at = found.end()
        self.line = line

    def next(self, *kinds: str) -> str:
        kind, word, self.line = self.left.pop(0) if self.left else ("end", "end", self.line)
        if kind not in kinds and word not in kinds:
            raise InputError(
                "settings.syntax",
                f"{self.where}: line {self.line}: {word} where {' or '.join(kinds)} was expected",
            )
        # A regular expression's backslashes stay; only quotes and backslashes are escaped.
        return _ESCAPED.sub(_unescaped, word[1:-1]) if kind == "string" else word

    def peek(self) -> str:
        return self.left[0][1] if self.left else ""

    def refuse(self, word: str, known: str) -> InputError:
        return InputError(
            "settings.field", f"{self.where}: line {self.line}: no field {word}; there are {known}"
        )


def _unescaped(found: re.Match) -> str:
    return found.group(1) if found.group(1) in "\\\"'" else found.group()


def _layer(tokens: _Tokens) -> tuple[str, str]:
    if tokens.peek() == ":":
        tokens.next(":")
    tokens.next("{")
    name, scheme, start = None, None, tokens.line
    while (word := tokens.next("word", "}", ";", ",")) != "}":
        if word in ";,":
            continue
        tokens.next(":")
        if word == "layer_name":
            name = tokens.next("string")
        elif word == "quantize":
            told = tokens.next("true", "false")
            if told == "false":
                scheme = "float"
        elif word == "scheme":
            scheme = canonical_layer_scheme(tokens.next("string", "word"))
        else:
            raise tokens.refuse(word, "layer_name, quantize, scheme")
    if name is None:
        raise InputError(
            "settings.field", f"{tokens.where}: line {start}: layer_params without a layer_name"
        )
    if scheme is None:
        raise InputError(
            "settings.field",
            f"{tokens.where}: line {start}: layer_params for {name} say nothing; give "
            '"quantize: false" or a scheme',
        )
    return name, scheme


def _parse_text(text: str, where: str) -> SettingsFile:
    tokens = _Tokens(text, where)
    scheme, layers = None, []
    while tokens.left:
        word = tokens.next("word", ";", ",")
        if word in ";,":
            continue
        if word == "layer_params":
            layers.append(_layer(tokens))
        elif word == "quantization_type":
            tokens.next(":")
            scheme = canonical_scheme(tokens.next("string", "word"))
        else:
            raise tokens.refuse(word, "quantization_type, layer_params")
    if not layers and scheme is None:
        raise InputError(
            "settings.field", f"{where}: it says nothing; give layer_params or a quantization_type"
        )
    return SettingsFile(scheme, layers=tuple(layers))


def parse_settings(text: str, where: str) -> SettingsFile:
    """Reads what a settings file says.

    Args:
      text: its content.
      where: how messages name it.

    Returns:
      What it says.

    Raises:
      InputError: when it is none of the three forms, or holds what cannot be.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return _parse_text(text, where)
    document = parse_json(text.encode("utf-8", "surrogatepass"), where, "settings.syntax")
    if isinstance(document, list):
        check_recipe(document, where)
        return SettingsFile("recipe", QuantizationSettings("recipe", recipe=tuple(document)))
    settings = settings_from_json(document, where)
    return SettingsFile(settings.scheme, settings)


def read_settings(
    path: Path | None,
    scheme: str | None,
    layers: tuple[tuple[str, str], ...] = (),
    input_type: str | None = None,
    output_type: str | None = None,
    runs_on: tuple[str, ...] | None = None,
) -> QuantizationSettings:
    """Joins what a file says with what is said beside it.

    Args:
      path: of a settings file; None where there is none.
      scheme: said beside it; None where it is the file's.
      layers: go over the file's.
      input_type: goes over the file's; None where it is the file's, or float32.
      output_type: likewise.
      runs_on: goes over the file's; None where it is the file's, or the default.

    Returns:
      The settings.

    Raises:
      InputError: when nothing says the scheme, both say different ones, or the file
        cannot be used.
    """
    wanted = scheme and canonical_scheme(scheme)
    said = SettingsFile(None)
    if path is not None:
        try:
            said = parse_settings(path.read_text(encoding="utf-8-sig"), str(path))
        except UnicodeDecodeError:
            raise InputError(
                "settings.syntax", f"{path}: neither JSON nor text; give a settings file"
            ) from None
    if wanted and said.scheme and wanted != said.scheme:
        raise InputError(
            "settings.conflict",
            f"{path}: its scheme is {said.scheme}, not {wanted}; give one of them",
        )
    scheme = wanted or said.scheme
    if not scheme:
        raise InputError("settings.field", "nothing says how to quantize; give --quantization_type")
    if said.settings is None:
        settings = QuantizationSettings(scheme, layers=said.layers + layers)
    else:
        settings = dataclasses.replace(said.settings, layers=said.settings.layers + layers)
    return dataclasses.replace(
        settings,
        input_type=settings.input_type if input_type is None else input_type,
        output_type=settings.output_type if output_type is None else output_type,
        runs_on=settings.runs_on if runs_on is None else runs_on,
    )
