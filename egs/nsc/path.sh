# shellcheck shell=bash
# Sourced by the recipe after it went to its own folder: the environment, and the functions that its stages use.
. ../../utils/env.sh
. recipe.sh
