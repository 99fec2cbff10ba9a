#!/usr/bin/env bash
# Does this mouth belong to this audio? The coupled 3D CNN and SyncNet on the corpus of run.sh, at laptop size. The stages are
# those of egs/voxceleb/run_synchrony.sh. Results are in exp/synchrony.

. "$(dirname "$0")/../voxceleb/run_synchrony.sh"
