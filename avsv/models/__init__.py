"""Networks, one family per file; speaker_encoders.py and face_encoders.py are the registries."""
