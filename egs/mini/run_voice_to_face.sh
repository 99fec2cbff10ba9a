#!/usr/bin/env bash
# A face from a voice (Wen, Raj and Singh, NeurIPS 2019) on a corpus that this recipe makes itself, at laptop size. The stages
# are those of egs/voxceleb/run_voice_to_face.sh. Results are in exp/voice_to_face/test.

. "$(dirname "$0")/../voxceleb/run_voice_to_face.sh"
