#!/usr/bin/env bash
# Voice encoders of the literature side by side, on the corpus of run.sh, at laptop size. The stages are those of
# egs/voxceleb/run_voices.sh. Results are in exp/voices.

. "$(dirname "$0")/../voxceleb/run_voices.sh"
