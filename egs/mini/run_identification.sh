#!/usr/bin/env bash
# Who is it, and is it anybody in the gallery? Open-set identification of the test people of run.sh, by its encoders. The
# stages are those of egs/voxceleb/run_identification.sh. Results are in exp/identification/results.

. "$(dirname "$0")/../voxceleb/run_identification.sh"
