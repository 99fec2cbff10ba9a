"""Audio-visual synchrony: do the lips move with the sound, and by how much is one of them late?"""

TASKS = {
    "coupled_cnn": ("avsv.systems.synchrony.training", "SynchronyConfig", "train_synchrony"),
    "syncnet": ("avsv.systems.synchrony.training", "SynchronyConfig", "train_synchrony"),
}
