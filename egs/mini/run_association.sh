#!/usr/bin/env bash
# Which face belongs to this voice, for people outside the training set? Face-voice association on a corpus that this recipe
# generates: more people than in run.sh; voice and face of a person share gender, age and build, as in life. The stages are those
# of egs/voxceleb/run_association.sh. Results are in exp/association/results.

. "$(dirname "$0")/../voxceleb/run_association.sh"
