{{/*
NetworkPolicy of a component: (dict "root" $ "component" "storescp" "name" … "from"
(list of rules) "to" (list of "dns", "aws", "apiServer")). It denies what it does not
name, in both directions. Ports are those of the pods.
*/}}
{{- define "isocenter.networkPolicy" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $values := index .root.Values .component -}}
{{- if and $policy.enabled $values.enabled -}}
{{- $egress := list -}}
{{- range .to }}
{{- if eq . "dns" -}}
{{- $egress = append $egress (include "isocenter.networkPolicy.rule" (dict "side" "to" "peers" $policy.dns.to "ports" $policy.dns.ports "protocols" (list "UDP" "TCP")) | fromYaml) -}}
{{- else -}}
{{- $it := index $policy . -}}
{{- $egress = append $egress (include "isocenter.networkPolicy.rule" (dict "side" "to" "peers" $it.to "ports" $it.ports) | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- $egress = concat $egress (.egress | default list) $values.networkPolicy.egress -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  labels:
    {{- include "isocenter.labels" .root | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "isocenter.selector" .root | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- toYaml (.from | default list) | nindent 4 }}
  egress:
    {{- toYaml $egress | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* One rule: (dict "side" "from"|"to" "peers" list "ports" list). No peers: any. */}}
{{- define "isocenter.networkPolicy.rule" -}}
{{- $protocols := .protocols | default (list "TCP") -}}
ports:
  {{- range $port := .ports }}
  {{- range $protocols }}
  - { protocol: {{ . }}, port: {{ int $port }} }
  {{- end }}
  {{- end }}
{{- with .peers }}
{{ $.side }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Who may read the health port: metrics' peers and the load balancers' subnets. */}}
{{- define "isocenter.networkPolicy.health" -}}
{{- $peers := .root.Values.networkPolicy.metrics.from -}}
{{- range .root.Values.networkPolicy.loadBalancers }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- if $peers -}}
{{- include "isocenter.networkPolicy.rule" (dict "side" "from" "peers" $peers "ports" (list .port)) -}}
{{- end -}}
{{- end -}}

{{/* Pods of one component of this release, as a peer. */}}
{{- define "isocenter.networkPolicy.component" -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: isocenter
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    app.kubernetes.io/component: {{ .folder }}
{{- end -}}
