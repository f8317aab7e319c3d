"""What runs a model: torch, with fast and int8 forms for a CPU, or ONNX Runtime."""
