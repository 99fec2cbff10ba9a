#!/usr/bin/env bash
# The ablation of egs/voxceleb/local/run_ablation.sh on this recipe's corpus; its options may follow.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
AVSV_RECIPE=$here exec bash "$here/../voxceleb/local/run_ablation.sh" --train train --test test --detector exp/face_detector \
  --ours conf/avn_e.yaml --avn-f conf/avn_f.yaml --avn-j conf/avn_j.yaml --face exp/face --pack exp/face "$@"
