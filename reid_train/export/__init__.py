"""From a checkpoint to `weights/<name>/`: graph, ONNX copy, int8, model card."""
