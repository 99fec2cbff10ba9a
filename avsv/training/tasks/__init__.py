"""The tasks of the main system, one network per module; `TASKS` is the registry.

A configuration names its task by the key `task`. An entry is "module:class", a subclass of `avsv.training.task.Task`;
each system's folder registers its own tasks in the same form.
"""

TASKS = {
    "voice": "avsv.training.tasks.voice:VoiceTask",
    "face": "avsv.training.tasks.face:FaceTask",
    "face_detector": "avsv.training.tasks.face_detector:FaceDetectorTask",
    "face_pool": "avsv.training.tasks.face_pool:FacePoolTask",
    "avn_e": "avsv.training.tasks.avn_e:AvnETask",
    "avn_f": "avsv.training.tasks.avn_f:AvnFTask",
    "avn_j": "avsv.training.tasks.avn_j:AvnJTask",
}
