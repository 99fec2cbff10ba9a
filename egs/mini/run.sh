#!/usr/bin/env bash
# Audio-visual person verification on a corpus that this recipe makes itself: talking people, minutes on a laptop. The stages
# are those of egs/voxceleb/run.sh; this corpus' options are in conf/recipe.conf. Results are in exp/results.

. "$(dirname "$0")/../voxceleb/run.sh"
