"""Audio-visual synchrony: do the lips match the audio, and what is the offset between them?"""

TASKS = {
    "coupled_cnn": "avsv.systems.synchrony.training:SynchronyTask",
    "syncnet": "avsv.systems.synchrony.training:SynchronyTask",
}
