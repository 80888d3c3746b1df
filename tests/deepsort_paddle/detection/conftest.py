"""ONNX files with the layouts, names and metadata of real exports, which return the same for every image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture(scope="session")
def save_export() -> Callable[..., Path]:
    """Function (path, outputs by name, inputs by name, metadata, input dtype) that writes such a file."""
    return _save_export


def _save_export(
    path: Path,
    outputs: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, Sequence[Any]],
    metadata: Mapping[str, str] | None = None,
    dtype: int = TensorProto.FLOAT,
) -> Path:
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(output))
            for name, output in outputs.items()
        ],
        "constant",
        [
            helper.make_tensor_value_info(
                name, TensorProto.INT64 if name == "orig_target_sizes" else dtype, list(shape)
            )
            for name, shape in inputs.items()
        ],
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(output.dtype), list(output.shape)
            )
            for name, output in outputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if metadata:
        helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)
    return path
