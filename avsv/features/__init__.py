"""Filter banks, voice activity, damage to sound and picture, face alignment."""
