"""Face-voice association: does this face belong to this voice?"""

TASKS = {
    "association": "avsv.systems.association.training:AssociationTask",
    "association_media": "avsv.systems.association.training_media:AssociationMediaTask",
}
