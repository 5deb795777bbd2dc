# The shell that the documentation's commands are written for; bash:
#
#   source hack/demo/env.sh
#
# Puts the project's programs on the path and names the demo's cluster. With
# CLUSTER=current the kube context in use stays the one that is used.
# shellcheck shell=bash
ISOCENTER_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ISOCENTER_CACHE=${ISOCENTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/isocenter}
export PATH="$ISOCENTER_ROOT/.venv/bin:$ISOCENTER_CACHE/bin:$PATH"
export PYTHONPATH="$ISOCENTER_ROOT/hack${PYTHONPATH:+:$PYTHONPATH}"
if [[ ${CLUSTER:-local} == local ]]; then
  export KUBECONFIG="$ISOCENTER_CACHE/cluster/kubeconfig"
fi
cd "$ISOCENTER_ROOT" || return
