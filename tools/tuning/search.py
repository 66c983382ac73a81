"""Searches settings and mixed recipes for the Pareto front of size, speed and similarity.

1. Schemes for the whole model: dynamic, float16, weight_only_int8, int8.
2. Choices of int8: estimators and passes, one at a time; a choice stays when the loss
   falls by 2%.
3. Sensitivity: how much the loss falls when one operator with weights is computed in
   float. Operators are tried in blocks first, those of the best blocks one by one.
4. Mixed: the operators with the most gain for their cost (multiplications, which float
   arithmetic makes slower) in float arithmetic with int8 weights, 1, 2, 3, 5, 8... of them.
5. Few bits: the same for 4-bit weights, where they lose least for the bytes they save.

Everything is compared on samples held out of the calibration data. What is then on the
front of size, similarity and estimated time is timed, and the front of size, similarity
and measured speed remains. The estimate counts multiplications, each with the time that
its arithmetic takes of float's: it only decides what is worth timing.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence

from ai_edge_litert import schema_py_generated as schema

from tools.graph.flatbuffer import parse_model, shape_of
from tools.graph.topology import WEIGHTED, Topology
from tools.quantization.patterns import scope
from tools.quantization.recipes import exactly
from tools.quantization.relu_fusion import fuse_relus
from tools.quantization.settings import (
    PASSES,
    RANGE_ESTIMATORS,
    QuantizationSettings,
    settings_from_json,
)
from tools.tuning.evaluation import Evaluator
from tools.tuning.goal import Candidate, Goal, missed_by, pareto_front

_STAYS = 0.98
_BLOCKS = 16
_BEST_BLOCKS = 3
_FIBONACCI = (1, 2, 3, 5, 8, 13, 21, 34)
_PERCENTILES = (0.0, 0.5, 2.0, 10.0)
_FLOAT_ARITHMETIC = "weight_only_int8"
_FOUR_BITS = {
    "dynamic": "dynamic_int4",
    "int8": "int4",
    _FLOAT_ARITHMETIC: "weight_only_int4",
}
# What a multiplication takes of a float one's time (x86-64 with VNNI, XNNPACK).
_TIMES = {"dynamic": 0.8, "dynamic_int4": 0.8, "int4": 0.5, "int8": 0.5, "mixed": 0.5}
# They change no result, or none but where nothing works without them.
_NOTHING_TO_TRY = frozenset(
    {"bias_range", "convolution_products", "dead_channels", "relu_fusion", "sparse_weights"}
)
# Every candidate says itself how it is made, so that none chooses.
_NOTHING_CHOSEN = {"choice": {"enabled": False}}


@dataclasses.dataclass(frozen=True)
class WeightedOperator:
    """An operator with constant weights.

    Attributes:
      pattern: the regular expression that finds it and no other.
      scope: what patterns are searched in.
      multiplications: for one inference.
      weights: how many.
    """

    pattern: str
    scope: str
    multiplications: int
    weights: int


def weighted_operators(master: bytes, where: str) -> list[WeightedOperator]:
    """Lists the operators that a search may treat one by one, in the model's order.

    Args:
      master: a float master.
      where: how messages name it.

    Returns:
      Those with constant weights, as they are named after activations are fused.
    """
    model = parse_model(master, where)
    fuse_relus(model)
    graph = Topology(model)
    found = []
    for operator in graph.subgraph.operators:
        if graph.name(operator) in WEIGHTED and graph.is_constant(operator.inputs[1]):
            found.append(_described(graph, operator))
    return found


def _described(graph: Topology, operator: schema.OperatorT) -> WeightedOperator:
    weights = 1
    for size in shape_of(graph.tensor(operator.inputs[1])):
        weights *= size
    places = 1
    if graph.name(operator) != "FULLY_CONNECTED":
        _, height, width, _ = shape_of(graph.tensor(operator.outputs[0]))
        places = height * width
    return WeightedOperator(
        exactly(graph, operator), scope(graph, operator), places * weights, weights
    )


class Search:
    """One search; `run` does it."""

    def __init__(
        self,
        evaluator: Evaluator,
        goal: Goal,
        budget: int,
        stop_at_first: bool,
        tell: Callable[[str, int, int, str], None],
        runs_on: tuple[str, ...] = QuantizationSettings.runs_on,
    ):
        """Prepares a search.

        Args:
          evaluator: makes and judges candidates.
          goal: what is wanted.
          budget: how many candidates to make at the most.
          stop_at_first: end with the first stage that has a candidate which reaches
            the goal.
          tell: called with (stage, candidates done, candidates of this stage, the name of the
            one that comes next).
          runs_on: where every candidate runs (`QuantizationSettings.runs_on`).
        """
        self._runs_on = runs_on
        self._evaluator, self._goal = evaluator, goal
        self._budget, self._stop_at_first, self._tell = budget, stop_at_first, tell
        self._operators = weighted_operators(evaluator.model.master, evaluator.model.where)
        self.candidates: list[Candidate] = []
        # Of each scheme, the candidate that mixed recipes start from.
        self._bases: dict[str, Candidate] = {}

    def run(self) -> list[Candidate]:
        """Searches.

        Returns:
          The measured candidates, in the order in which they were found; the front and
          the whole-model schemes among them.
        """
        for stage in (
            lambda: self._plain("whole-model schemes", ("dynamic", "float16", _FLOAT_ARITHMETIC)),
            lambda: self._plain("int8", ("int8",)),
            self._choices_of_int8,
            self._mixed,
            self._few_bits,
        ):
            stage()
            self._measure_front()
            if self._stop_at_first and any(
                c.speedup is not None and not missed_by(self._goal, c) for c in self.candidates
            ):
                break
        return [c for c in self.candidates if c.speedup is not None]

    def _try_all(
        self, stage: str, named: list[tuple[str, QuantizationSettings]]
    ) -> list[Candidate | None]:
        """Evaluates candidates; None stands for those refused or beyond the budget."""
        results: list[Candidate | None] = []
        for number, (name, settings) in enumerate(named):
            self._tell(stage, number, len(named), name)
            candidate = None
            if len(self.candidates) < self._budget:
                candidate = self._evaluator.evaluate(name, settings)
            results.append(candidate)
            known = {c.sha256 for c in self.candidates}
            if candidate and candidate.sha256 not in known:
                self.candidates.append(candidate)
        self._tell(stage, len(named), len(named), "")
        return results

    def _estimated_time(self, candidate: Candidate) -> float:
        """Counts multiplications in units of a float one; see the module's docstring."""
        layers = [(re.compile(e["pattern"]), e["scheme"]) for e in candidate.settings["layers"]]
        total = 0.0
        for operator in self._operators:
            scheme = candidate.settings["scheme"]
            for pattern, other in layers:
                if pattern.search(operator.scope):
                    scheme = other
            total += operator.multiplications * _TIMES.get(scheme, 1.0)
        return total

    def _measure_front(self) -> None:
        """Times what no other candidate seems to beat in all respects."""
        places = {c.sha256: (c.bytes, c.loss, self._estimated_time(c)) for c in self.candidates}

        def beaten(candidate: Candidate) -> bool:
            place = places[candidate.sha256]
            return any(
                other != place and all(a <= b for a, b in zip(other, place, strict=True))
                for other in places.values()
            )

        # The plain schemes are what everyone compares with.
        worth = [
            c
            for c in self.candidates
            if c.speedup is None and (c.name in self._bases or not beaten(c))
        ]
        for number, candidate in enumerate(worth):
            self._tell("timing", number, len(worth), candidate.name)
            self._evaluator.measure(candidate, settings_from_json(candidate.settings))
        if worth:
            self._tell("timing", len(worth), len(worth), "")

    def _plain(self, stage: str, schemes: Sequence[str]) -> None:
        settings = [
            QuantizationSettings(scheme, passes=_NOTHING_CHOSEN, runs_on=self._runs_on)
            for scheme in schemes
        ]
        named = list(zip(schemes, settings, strict=True))
        for scheme, candidate in zip(schemes, self._try_all(stage, named), strict=True):
            if candidate:
                self._bases[scheme] = candidate

    def _choices_of_int8(self) -> None:
        base = self._bases.get("int8")
        if base is None:
            return
        for stage, variants in _variants():
            settings = settings_from_json(base.settings)
            named = [(f"{base.name}, {word}", change(settings)) for word, change in variants]
            for candidate in self._try_all(stage, named):
                if candidate and candidate.loss < base.loss * _STAYS:
                    base = candidate
        self._bases["int8"] = base

    def _gains(
        self, base: Candidate, scheme: str, stage: str
    ) -> list[tuple[WeightedOperator, float]]:
        """Measures what each operator's other scheme does to the loss.

        Returns:
          (operator, loss of the base - loss with that operator changed).
        """
        settings = settings_from_json(base.settings)

        def losses(groups: list[list[WeightedOperator]], what: str) -> list[float]:
            named = [(f"{base.name}, {what} {n}", _with(settings, g, scheme)) for n, g in
                     enumerate(groups)]  # fmt: skip
            results = self._try_all(stage, named)
            # Operators of sensitivity runs say something about the model, and are
            # candidates as good as any.
            return [c.loss if c else float("inf") for c in results]

        count = len(self._operators)
        size = -(-count // _BLOCKS)
        if size == 1:
            singles = self._operators
        else:
            blocks = [self._operators[i : i + size] for i in range(0, count, size)]
            by_block = losses(blocks, "block")
            order = sorted(range(len(blocks)), key=lambda n: by_block[n])
            singles = [op for n in sorted(order[:_BEST_BLOCKS]) for op in blocks[n]]
        found = losses([[op] for op in singles], "operator")
        return [(op, base.loss - loss) for op, loss in zip(singles, found, strict=True)]

    def _nested(
        self, base: Candidate, scheme: str, stage: str, ordered: list[WeightedOperator], what: str
    ) -> None:
        settings = settings_from_json(base.settings)
        counts = [n for n in _FIBONACCI if n <= len(ordered)]
        named = [(f"{base.name}, {n} {what}", _with(settings, ordered[:n], scheme)) for n in counts]
        self._try_all(stage, named)

    def _mixed(self) -> None:
        base = self._bases.get("int8")
        if base is None:
            return
        gains = self._gains(base, _FLOAT_ARITHMETIC, "sensitivity")
        useful = [(op, gain) for op, gain in gains if gain > 0]
        ordered = sorted(useful, key=lambda pair: -pair[1] / max(pair[0].multiplications, 1))
        self._nested(
            base, _FLOAT_ARITHMETIC, "mixed", [op for op, _ in ordered], "in float arithmetic"
        )
        by_gain = sorted(useful, key=lambda pair: -pair[1])
        self._nested(
            base, _FLOAT_ARITHMETIC, "mixed", [op for op, _ in by_gain], "most sensitive in float"
        )

    def _few_bits(self) -> None:
        for scheme, four_bits in _FOUR_BITS.items():
            base = self._bases.get(scheme)
            if base is None:
                continue
            gains = self._gains(base, four_bits, f"4-bit sensitivity of {scheme}")
            possible = [(op, gain) for op, gain in gains if gain > -float("inf")]
            # What it costs for a byte saved; four bits save half a byte a weight.
            ordered = sorted(possible, key=lambda pair: -pair[1] / pair[0].weights)
            self._nested(base, four_bits, "few bits", [op for op, _ in ordered], "of 4 bits")


def _with(
    settings: QuantizationSettings, operators: list[WeightedOperator], scheme: str
) -> QuantizationSettings:
    layers = tuple((operator.pattern, scheme) for operator in operators)
    return dataclasses.replace(settings, layers=settings.layers + layers)


def _variants() -> list[tuple[str, list[tuple[str, Callable]]]]:
    """Lists the choices of int8 that may pay, by stage."""

    def ranges(**changes):
        return lambda s: dataclasses.replace(s, ranges=dataclasses.replace(s.ranges, **changes))

    def switched(name: str):
        def change(settings: QuantizationSettings) -> QuantizationSettings:
            choices = dict(settings.passes)
            choices[name] = {"enabled": not settings.enabled(name)}
            return dataclasses.replace(settings, passes=choices)

        return change

    default = QuantizationSettings("int8")
    estimators = [(e, ranges(estimator=e)) for e in RANGE_ESTIMATORS
                  if e != default.ranges.usual]  # fmt: skip
    percentiles = [(f"percentile {p:g}", ranges(percentile=p)) for p in _PERCENTILES]
    passes = [name for name in sorted(PASSES) if name not in _NOTHING_TO_TRY | set(_NOTHING_CHOSEN)]
    named = [(f"{'without' if default.enabled(n) else 'with'} {n}", switched(n)) for n in passes]
    return [("range estimators", estimators + percentiles), ("passes", named)]


def front_of(candidates: list[Candidate]) -> list[Candidate]:
    """The Pareto front of the measured candidates."""
    return pareto_front([c for c in candidates if c.speedup is not None])
