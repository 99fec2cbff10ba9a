"""Voice to face: generating the image of a face from a voice."""

TASKS = {
    "voice_embedder": ("avsv.systems.voice_to_face.voice_embedder", "VoiceEmbedderConfig", "train_voice_embedder"),
    "voice_to_face": ("avsv.systems.voice_to_face.training", "VoiceToFaceConfig", "train_voice_to_face"),
}
