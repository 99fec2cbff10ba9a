# shellcheck shell=bash disable=SC2154
# Stage 0 of run_association.sh: splits the people of data/vox1, or of the data directories given with --from.
if [ -n "$splits" ]; then
  how=(--splits "$(from_user "$splits")")
else
  need split
  read -ra split <<<"$split"
  how=(--counts "${split[@]}")
fi
read -ra from <<<"$from"
meta=$(from_user "$meta")
local/prepare_association.py "${how[@]}" ${meta:+--meta "$meta"} "${from[@]}" "$data"
if [ -n "$lists" ]; then
  need meta voxceleb1
  local/prepare_listed.py --ids "$data/ids" --lists "$lists" "$(from_user "$voxceleb1")" "$data/listed"
fi
