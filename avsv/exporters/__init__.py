"""Trained models as files of other tools: ONNX with metadata, SpeechBrain's folders, InsightFace's packs."""
