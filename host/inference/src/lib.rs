//! ONNX sessions: one backend trait, ONNX Runtime where it is found, an embedded backend otherwise.
