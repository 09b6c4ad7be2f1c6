"""ONNX networks as TensorFlow functions: read, laid out with channels last, computed."""
