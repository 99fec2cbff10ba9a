# shellcheck shell=bash disable=SC2154
# Stage 0 of run_synchrony.sh: data directories of LRW, or of VoxCeleb2 with some people of dev held out.
if [ -n "$lrw" ]; then
  for part in train:train val:dev test:test; do
    local/prepare_lrw.py --part "${part%:*}" "$(from_user "$lrw")" "data/sync_${part#*:}"
  done
else
  need voxceleb2
  voxceleb2=$(from_user "$voxceleb2")
  local/prepare_voxceleb2.py --held-out "$held_out" --held-out-dir data/sync_dev "$voxceleb2" data/sync_train
  local/prepare_voxceleb2.py --part test "$voxceleb2" data/sync_test
fi
