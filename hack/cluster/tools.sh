#!/usr/bin/env bash
# Builds the programs the cluster and the tests need, from the Go modules
# pinned in tools/, into the cache. Builds what is missing and nothing else.
#
#   hack/cluster/tools.sh helm kubeconform
#   hack/cluster/tools.sh kubernetes etcd coredns provisioner networkpolicy pause
#
# All but Skaffold share one module: their common dependencies then have one
# version and compile once, which halves the time of a fresh build.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

KUBERNETES_NAMES=(kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet kubectl)

usage() {
  sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
}

# The version a go.mod file pins, which is the only place it is written down.
pinned() {
  awk -v module="$2" '{ sub(/^require /, "") } $1 == module && $2 ~ /^v/ { print $2; exit }' "$1/go.mod"
}

# describe TOOL: sets module, package, version, flags, sources, names.
describe() {
  module=$CLUSTER_SOURCE/tools
  package=./$1
  flags="-s -w"
  sources=("$module/go.mod" "$module/go.sum")
  names=("$1")
  case $1 in
    kubernetes)
      version=$(pinned "$module" k8s.io/kubernetes)
      local minor=${version#v1.} variable
      for variable in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $variable.gitVersion=$version -X $variable.gitMajor=1 -X $variable.gitMinor=${minor%%.*}"
      done
      names=("${KUBERNETES_NAMES[@]}") ;;
    etcd) version=$(pinned "$module" go.etcd.io/etcd/server/v3) ;;
    coredns) version=$(pinned "$module" github.com/coredns/coredns) ;;
    provisioner | networkpolicy | pause) version=v1 ;;
    helm)
      version=$(pinned "$module" helm.sh/helm/v3)
      package=helm.sh/helm/v3/cmd/helm
      flags+=" -X helm.sh/helm/v3/internal/version.version=$version"
      # The Kubernetes that charts are rendered for where no cluster is asked.
      local minor variable
      minor=$(pinned "$module" k8s.io/kubernetes) minor=${minor#v1.}
      for variable in pkg/lint/rules pkg/chartutil; do
        flags+=" -X helm.sh/helm/v3/$variable.k8sVersionMajor=1 -X helm.sh/helm/v3/$variable.k8sVersionMinor=${minor%%.*}"
      done ;;
    kubeconform)
      version=$(pinned "$module" github.com/yannh/kubeconform)
      package=github.com/yannh/kubeconform/cmd/kubeconform
      flags+=" -X main.version=$version" ;;
    skaffold)
      module=$CLUSTER_SOURCE/tools/skaffold
      sources=("$module/go.mod" "$module/go.sum")
      version=$(pinned "$module" github.com/GoogleContainerTools/skaffold/v2)
      package=github.com/GoogleContainerTools/skaffold/v2/cmd/skaffold
      flags+=" -X github.com/GoogleContainerTools/skaffold/v2/pkg/skaffold/version.version=$version" ;;
    *)
      echo "tools.sh: no such tool: $1" >&2
      usage ;;
  esac
  if [[ $package == ./* ]]; then
    sources+=("$module/$1"/*.go)
  fi
}

need_go() {
  local have
  if ! have=$(go env GOVERSION 2>/dev/null); then
    echo "tools.sh: Go 1.24.1 or newer must be on PATH, and there is no 'go'." >&2
    echo "  Debian 12 has too old a one; with its backports: apt-get install -t bookworm-backports golang-1.24-go" >&2
    exit 1
  fi
  if [[ $(printf '%s\n' go1.24.1 "${have%% *}" | sort -V | head -1) != go1.24.1 ]]; then
    echo "tools.sh: Go 1.24.1 or newer must be on PATH; this is ${have}." >&2
    exit 1
  fi
}

# build TOOL: leaves $BUILDS/TOOL/VERSION-HASH/TOOL and links to it.
build() {
  local tool=$1 module package version flags sources names directory began lock
  describe "$tool"
  directory=$BUILDS/$tool/$version-$(cat "${sources[@]}" <(echo "$flags $package") | sha256sum | cut -c1-12)
  if [[ ! -x $directory/$tool ]]; then
    need_go
    # Two runs at a time would compile the same thing twice. The lock is the
    # tool's own: whoever needs another one does not wait.
    exec {lock}>"$BUILDS/$tool.lock"
    flock -n "$lock" || { echo "waiting for another run that builds $tool ..."; flock "$lock"; }
  fi
  if [[ ! -x $directory/$tool ]]; then
    echo "building $tool $version ..."
    began=$SECONDS
    mkdir -p "$directory"
    # A build that is killed leaves only a file that nobody looks at. GOGC: the
    # compiler spends a quarter of its time collecting garbage otherwise.
    (cd "$module" && GOGC=${GOGC:-800} CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$flags" \
      -o "$directory/$tool.unfinished" "$package")
    mv "$directory/$tool.unfinished" "$directory/$tool"
    echo "built $tool $version in $((SECONDS - began)) s"
  fi
  for name in "${names[@]}"; do
    if [[ $(readlink "$BIN/$name" || true) != "$directory/$tool" ]]; then
      # ln -f removes before it makes; a rename leaves no moment without.
      ln -s "$directory/$tool" "$BIN/.$name.$$"
      mv -T "$BIN/.$name.$$" "$BIN/$name"
    fi
  done
}

[[ $# -gt 0 ]] || usage
mkdir -p "$BIN" "$BUILDS"
for tool in "$@"; do
  build "$tool"
done
