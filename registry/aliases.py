"""Moves aliases, and keeps the history of each as runs of MLflow.

A move is a run of kind "promotion" or "rollback". It is written before the alias
is moved and ended after, so a process that dies in between leaves a run that
never ended; whoever comes next sees by the alias whether the move took place.
"""

import dataclasses
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from registry.catalog import Catalog, Move, Version
from registry.process import this_process, user_name
from registry.store import Store, translate_mlflow_errors
from registry.tags import (
    KIND_ROLLBACK,
    KIND_TAG,
    NOTIFY_TAG,
    PENDING,
    VERSION_TAG,
    WRITER_TAG,
)
from tools.documents.document import write_document
from tools.documents.promotion import Promotion
from tools.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ALIAS_TAG = "alias"
_FROM_TAG = "alias_from"
_TO_TAG = "alias_to"
_MOST_MOVES = 1000


@dataclasses.dataclass(frozen=True)
class PreviousHolders:
    """What a rollback finds.

    Attributes:
      current: number of the version that holds the alias; None where it was deleted.
      previous: of the one that a rollback returns to.
      deleted: of those between them that were deleted, the newest first.
    """

    current: int | None
    previous: int
    deleted: tuple[int, ...]


class Aliases:
    """The aliases of one store. Hold `registry.store.locked` around `move`."""

    def __init__(self, store: Store, client: "MlflowClient", catalog: Catalog):
        """Makes it.

        Args:
          store: from `find_store`.
          client: from `connect`.
          catalog: of the same store.
        """
        self._store = store
        self._client = client
        self._catalog = catalog

    def history(self, name: str, alias: str | None = None) -> list[Move]:
        """Reads the moves of a model's aliases.

        Args:
          name: of the registered model.
          alias: only this one's, or None for all.

        Returns:
          Moves that took place, the oldest first.
        """
        holders = self._catalog.aliases(name)
        with translate_mlflow_errors(self._store):
            filters = f"tags.{_ALIAS_TAG} = '{alias}'" if alias else f"tags.{_ALIAS_TAG} LIKE '%'"
            runs = self._client.search_runs(
                [self._catalog.experiment_id(name)],
                filters,
                max_results=_MOST_MOVES,
                order_by=["attributes.start_time DESC"],
            )
        moves, seen = [], set()
        for run in runs:
            tags = run.data.tags
            moved = tags.get(_ALIAS_TAG, "")
            after = int(tags[_TO_TAG])
            newest = moved not in seen
            if run.info.status != "FINISHED" and not (newest and holders.get(moved) == after):
                continue
            seen.add(moved)
            moves.append(
                Move(
                    alias=moved,
                    kind=tags[KIND_TAG],
                    before=int(tags[_FROM_TAG]) if tags.get(_FROM_TAG) else None,
                    after=after,
                    who=tags.get("mlflow.user", ""),
                    reason=tags.get("reason", ""),
                    forced=tags.get("forced") == "true",
                    time_ms=run.info.start_time,
                    run_id=run.info.run_id,
                    is_pending=tags.get(NOTIFY_TAG) == PENDING,
                )
            )
        return moves[::-1]

    def previous_holders(self, name: str, alias: str) -> PreviousHolders:
        """Says to which version a rollback returns.

        Promotions are a stack: a rollback takes the top off, so that two of them
        in a row go back two versions. Versions that were deleted are passed over.

        Args:
          name: of the registered model.
          alias: name of the alias. It may point nowhere, where its version was deleted.

        Returns:
          What held it.

        Raises:
          InputError: there never was such an alias, it never pointed elsewhere, or every
            version that held it before was deleted.
        """
        holder = self._catalog.aliases(name).get(alias)
        moves = self.history(name, alias)
        if holder is None and not moves:
            raise InputError(
                "registry.alias", f"{name}: no alias {alias!r}; there is nothing to roll back"
            )
        stack: list[int] = []
        for move in moves:
            if move.kind == KIND_ROLLBACK:
                # More than one, where it passed over versions that were deleted.
                while stack and stack[-1] != move.after:
                    stack.pop()
                stack = stack or [move.after]
            else:
                if move.before is not None and (not stack or stack[-1] != move.before):
                    # Moved by something else in between, such as MLflow's UI.
                    stack.append(move.before)
                stack.append(move.after)
        if stack and stack[-1] == holder:
            stack.pop()
        if not stack:
            raise InputError(
                "registry.alias",
                f"{name}@{alias}: version {holder} is the first that held it; there is nothing to "
                "return to",
            )
        present = self._catalog.numbers(name)
        # An alias stays when its version is deleted on some stores, and goes on others.
        current = holder if holder in present else None
        deleted: list[int] = []
        for number in reversed(stack):
            if number in present:
                return PreviousHolders(current, number, tuple(deleted))
            deleted.append(number)
        listed = ", ".join(map(str, deleted))
        raise InputError(
            "registry.alias",
            f"{name}@{alias}: every version that held it before was deleted ({listed}); promote "
            "another one",
        )

    def move(
        self,
        kind: str,
        before: Version | None,
        after: Version,
        promotion: Promotion,
        lineage_tags: Mapping[str, str],
        notify: bool = False,
    ) -> str:
        """Points an alias at a version. It may be called again after it failed anywhere.

        Args:
          kind: KIND_PROMOTION or KIND_ROLLBACK.
          before: the version that holds the alias, or None.
          after: the version that shall hold it.
          promotion: of these versions: the alias, and by what it was judged.
          lineage_tags: from `GitLineage.tags`.
          notify: whether somebody wants to be told of it.

        Returns:
          The run that keeps the move.
        """
        alias, reason = promotion.alias, promotion.reason
        experiment_id = self._catalog.experiment_id(after.name)
        origin = f"version {before.number}" if before else "nothing"
        note = f"{alias}: from {origin} to version {after.number} of {after.name}."
        tags = {
            **lineage_tags,
            KIND_TAG: kind,
            _ALIAS_TAG: alias,
            _TO_TAG: str(after.number),
            VERSION_TAG: f"{after.name}/{after.number}",
            "forced": "true" if promotion.forced else "false",
            "mlflow.user": user_name(),
            "mlflow.note.content": f"{note} {reason}".strip(),
            WRITER_TAG: this_process(),
        }
        if before:
            tags[_FROM_TAG] = str(before.number)
        if reason:
            tags["reason"] = reason
        if notify:
            # With the move, so that a process that dies after it leaves it to be done.
            tags[NOTIFY_TAG] = PENDING
        with translate_mlflow_errors(self._store):
            self._catalog.forget()
            done = self._end_unfinished(experiment_id, after.name, alias)
            if done is not None and done[1] == after.number:
                # From an attempt whose answer got lost.
                return done[0]
            run = self._client.create_run(
                experiment_id,
                run_name=f"{alias}: {kind} of version {after.number}",
                tags=tags,
                start_time=int(time.time() * 1000),
            )
            run_id = run.info.run_id
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "promotion.json")
                write_document(path, promotion)
                self._client.log_artifact(run_id, str(path))
            self._client.set_registered_model_alias(after.name, alias, str(after.number))
            self._catalog.forget()
            self._client.set_terminated(run_id, "FINISHED")
            return run_id

    def _end_unfinished(self, experiment_id: str, name: str, alias: str) -> tuple[str, int] | None:
        """Ends a move that its process did not; gives its run and version if it took place."""
        holder = self._catalog.aliases(name).get(alias)
        runs = self._client.search_runs(
            [experiment_id],
            f"tags.{_ALIAS_TAG} = '{alias}'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        if not runs or runs[0].info.status != "RUNNING":
            return None
        took_place = runs[0].data.tags[_TO_TAG] == str(holder)
        run_id = runs[0].info.run_id
        self._client.set_terminated(run_id, "FINISHED" if took_place else "KILLED")
        return (run_id, holder) if holder is not None and took_place else None
