# shellcheck shell=bash disable=SC2154
# Stage 0 of run.sh: data directories of VoxCeleb1 and 2, of VoxCeleb2's held-out and validation people and of the noises.
need voxceleb1 voxceleb2 musan rirs
local/prepare_voxceleb1.py "$(from_user "$voxceleb1")" data/vox1
local/prepare_voxceleb2.py --seed "$seed" --held-out "$held_out" --held-out-dir data/dev --validation-dir data/validation \
  ${validation_people:+--validation "$(from_user "$validation_people")"} "$(from_user "$voxceleb2")" data/vox2
local/prepare_musan.py "$(from_user "$musan")" "$(from_user "$rirs")" data/musan
