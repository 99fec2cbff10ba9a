# shellcheck shell=bash
# Sourced by every recipe: the environment, and the functions of its stages. Cluster jobs source the path.sh of the folder
# that they were submitted in, or else the one that AVSV_PATH_SH names.
AVSV_PATH_SH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/path.sh
export AVSV_PATH_SH
. "${AVSV_PATH_SH%/*}/../../utils/env.sh"
. recipe.sh
