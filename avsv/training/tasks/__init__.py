"""What the main system can train, one network a module; `TASKS` is the registry.

A configuration names its task by the key `task`. Each entry holds the module, the dataclass of its configuration, and
the function that trains; a system's folder may bring tasks of its own in the same form.
"""

TASKS = {
    "voice": ("avsv.training.tasks.voice", "VoiceConfig", "train_voice"),
    "face": ("avsv.training.tasks.face", "FaceConfig", "train_face"),
    "face_detector": ("avsv.training.tasks.face_detector", "FaceDetectorConfig", "train_face_detector"),
    "face_pool": ("avsv.training.tasks.face_pool", "FacePoolConfig", "train_face_pool"),
    "avn_e": ("avsv.training.tasks.avn_e", "FusionConfig", "train_fusion"),
    "avn_f": ("avsv.training.tasks.avn_f", "AvnFConfig", "train_avn_f"),
    "avn_j": ("avsv.training.tasks.avn_j", "AvnJConfig", "train_avn_j"),
}
