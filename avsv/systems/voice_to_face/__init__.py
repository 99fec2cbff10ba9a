"""Voice to face: generating the image of a face from a voice."""

TASKS = {
    "voice_embedder": "avsv.systems.voice_to_face.voice_embedder_training:VoiceEmbedderTask",
    "voice_to_face": "avsv.systems.voice_to_face.training:VoiceToFaceTask",
}
