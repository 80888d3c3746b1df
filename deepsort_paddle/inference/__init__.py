"""Networks run on arrays, by Paddle Inference, ONNX Runtime or OpenVINO."""
