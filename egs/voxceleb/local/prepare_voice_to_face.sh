# shellcheck shell=bash disable=SC2154
# Stage 0 of run_voice_to_face.sh: data directories of VoxCeleb1 and 2.
need voxceleb1 voxceleb2
local/prepare_voxceleb1.py "$(from_user "$voxceleb1")" "$data/vox1"
local/prepare_voxceleb2.py --held-out "$held_out" --held-out-dir "$data/dev" "$(from_user "$voxceleb2")" "$data/vox2"
