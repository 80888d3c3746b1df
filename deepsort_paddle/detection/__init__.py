"""Detectors: a detection file, HOG, ONNX and PaddleDetection networks."""
