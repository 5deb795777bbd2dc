#!/usr/bin/env bash
# One certificate authority, a certificate for every component and a
# kubeconfig for every client. Sourced by up.sh.

# issue NAME SUBJECT USAGE [SUBJECT-ALTERNATIVE-NAMES]
issue() {
  local name=$1 subject=$2 usage=$3 names=${4:-}
  openssl req -new -newkey rsa:2048 -nodes -subj "$subject" \
    -keyout "$PKI/$name.key" -out "$PKI/$name.csr" 2>/dev/null
  openssl x509 -req -in "$PKI/$name.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial \
    -days 3650 -out "$PKI/$name.crt" 2>/dev/null -extfile <(
      echo "keyUsage = critical, digitalSignature, keyEncipherment"
      echo "extendedKeyUsage = $usage"
      [[ -z $names ]] || echo "subjectAltName = $names"
    )
  rm "$PKI/$name.csr"
}

# kubeconfig NAME FILE: certificates go into the file, so that it can be
# copied elsewhere.
kubeconfig() {
  local name=$1 file=$2
  cat >"$file.new" <<YAML
apiVersion: v1
kind: Config
current-context: $CONTEXT
clusters:
  - name: $CONTEXT
    cluster:
      server: https://$NODE_ADDRESS:$API_PORT
      certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")
contexts:
  - name: $CONTEXT
    context: {cluster: $CONTEXT, user: $name}
users:
  - name: $name
    user:
      client-certificate-data: $(base64 -w0 "$PKI/$name.crt")
      client-key-data: $(base64 -w0 "$PKI/$name.key")
YAML
  mv "$file.new" "$file"
}

# client NAME COMMON-NAME: certificate and kubeconfig of a program of ours, whose
# role is in addons.sh. Each is made when it is missing: a cluster that is older
# than the program gets it with the next up.sh.
client() {
  [[ ! -e $PKI/$1.kubeconfig ]] || return 0
  issue "$1" "/CN=$2" clientAuth
  kubeconfig "$1" "$PKI/$1.kubeconfig"
}

make_certificates() {
  make_authority
  client coredns isocenter:coredns
  client provisioner isocenter:provisioner
  client networkpolicy isocenter:networkpolicy
}

make_authority() {
  # Written last, so a run that was killed half way through starts over.
  [[ ! -e $PKI/complete ]] || return 0
  rm -rf "$PKI"
  mkdir -p "$PKI"
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=isocenter-local-ca" \
    -addext "keyUsage = critical, keyCertSign, cRLSign, digitalSignature" \
    -keyout "$PKI/ca.key" -out "$PKI/ca.crt" 2>/dev/null
  openssl genrsa -out "$PKI/service-accounts.key" 2048 2>/dev/null
  openssl rsa -in "$PKI/service-accounts.key" -pubout -out "$PKI/service-accounts.pub" 2>/dev/null

  issue etcd /CN=etcd serverAuth,clientAuth IP:127.0.0.1
  issue etcd-client /CN=kube-apiserver-etcd-client clientAuth
  issue apiserver /CN=kube-apiserver serverAuth \
    "IP:$NODE_ADDRESS,IP:$API_SERVICE_ADDRESS,IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  # Groups and names that Kubernetes' built-in roles are bound to.
  issue apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
  issue admin /O=system:masters/CN=admin clientAuth
  issue controller-manager /CN=system:kube-controller-manager clientAuth
  issue scheduler /CN=system:kube-scheduler clientAuth
  issue proxy /CN=system:kube-proxy clientAuth
  issue kubelet "/O=system:nodes/CN=system:node:$NODE_NAME" clientAuth

  for name in controller-manager scheduler proxy kubelet; do
    kubeconfig "$name" "$PKI/$name.kubeconfig"
  done
  kubeconfig admin "$KUBECONFIG"
  touch "$PKI/complete"
  progress "certificates made"
}
