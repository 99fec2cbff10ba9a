#!/usr/bin/env bash
# The ablation of egs/voxceleb/local/run_ablation.sh on this recipe's corpus.

# shellcheck source=../../voxceleb/local/run_ablation.sh
. "$(dirname "$0")/../../voxceleb/local/run_ablation.sh"
