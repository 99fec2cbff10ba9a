"""Voice to face: the image of a face that a generator draws from a voice."""

TASKS = {
    "voice_embedder": ("avsv.systems.voice_to_face.voice_embedder", "VoiceEmbedderConfig", "train_voice_embedder"),
    "voice_to_face": ("avsv.systems.voice_to_face.training", "VoiceToFaceConfig", "train_voice_to_face"),
}
