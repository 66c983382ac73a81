"""The MLflow flavor of a .tflite file: what makes a folder that `mlflow.pyfunc` loads."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from registry.record import ModelIdentity
from tools.documents.models import Tensor

FLAVOR = "tflite"
_LOADER = "tflite_pyfunc"


def save_model(
    folder: Path,
    model: ModelIdentity,
    run_id: str,
    model_id: str,
    litert_version: str | None = None,
) -> None:
    """Writes MLmodel, the .tflite file, the code that runs it and what that needs.

    Args:
      folder: must not exist.
      model: with its path.
      run_id: of the run that recorded it.
      model_id: of MLflow's logged model.
      litert_version: the ai-edge-litert that the model was validated with, or
        None for any.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    mlmodel = Model(
        run_id=run_id,
        model_id=model_id,
        metadata={"sha256": model.sha256, "bytes": model.bytes},
    )
    mlmodel.add_flavor(
        FLAVOR,
        data=f"data/{model.file.name}",
        sha256=model.sha256,
        inputs=[_tensor(tensor) for tensor in model.inputs],
        outputs=[_tensor(tensor) for tensor in model.outputs],
    )
    described = bool(model.inputs and model.outputs)
    pin = f"=={litert_version}" if litert_version else ""
    # Found, not imported: it is the model's, and runs where numpy is.
    loader = importlib.util.find_spec(f"registry.{_LOADER}")
    assert loader is not None
    mlflow.pyfunc.save_model(
        str(folder),
        loader_module=_LOADER,
        data_path=str(model.file),
        code_paths=[loader.origin],
        signature=_signature(model) if described else None,
        input_example=_example(model.inputs) if described else None,
        pip_requirements=[f"mlflow=={mlflow.__version__}", f"ai-edge-litert{pin}", "numpy"],
        mlflow_model=mlmodel,
    )
    # MLflow writes `0.0`, a number a line: an example larger than its model.
    for example in folder.glob("*input_example.json"):
        content = json.loads(example.read_text(encoding="utf-8"), parse_float=_shortest)
        example.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def _shortest(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
    }


def _signature(model: ModelIdentity):
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(tensors: Sequence[Tensor], named: bool) -> Schema:
        return Schema(
            [
                TensorSpec(
                    np.dtype(tensor.dtype),
                    _any_number(tensor.shape),
                    tensor.name if named else None,
                )
                for tensor in tensors
            ]
        )

    # MLflow takes a bare array for an input without a name only; the name is in
    # the flavor.
    return ModelSignature(
        schema(model.inputs, named=len(model.inputs) > 1), schema(model.outputs, named=True)
    )


def _any_number(shape: Sequence[int]) -> tuple[int, ...]:
    """Lets a first dimension of one stand for any number of samples, as the function does."""
    return (-1, *shape[1:]) if len(shape) > 1 and shape[0] == 1 else tuple(shape)


def _example(inputs: Sequence[Tensor]):
    """Makes an input of zeros: the form is what an example shows here."""
    import numpy as np

    arrays = {tensor.name: np.zeros(list(tensor.shape), tensor.dtype) for tensor in inputs}
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))
