"""Face-voice association: does this face belong to this voice?"""

TASKS = {
    "association": ("avsv.systems.association.training", "AssociationConfig", "train_association"),
    "association_media": (
        "avsv.systems.association.training_media",
        "AssociationMediaConfig",
        "train_association_media",
    ),
}
