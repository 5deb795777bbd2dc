{{/* Settings whose name changed, and what it is now. */}}
{{- define "isocenter.storescp.renamed" -}}
{{- dict "plain_port" "scp_port" "upload_threads" "s3_upload_workers" "max_associations" "maximum_associations" "max_pdu" "maximum_pdu_size" "network_timeout_s" "network_timeout" | toJson -}}
{{- end -}}

{{/* The settings as JSON, by today's names: values of an earlier chart still count. */}}
{{- define "isocenter.storescp.config" -}}
{{- $renamed := include "isocenter.storescp.renamed" . | fromJson -}}
{{- $config := dict -}}
{{- range $key, $value := .Values.storescp.config }}{{ $_ := set $config (get $renamed $key | default $key) $value }}{{ end -}}
{{- $config | toJson -}}
{{- end -}}

{{/* Seconds from SIGTERM to SIGKILL. */}}
{{- define "isocenter.storescp.grace" -}}
{{ add 45 (ceil (.Values.storescp.config.shutdown_grace_s | default 45)) }}
{{- end -}}

{{/* Secret of the listener's key pair, made by cert-manager or by the owner. */}}
{{- define "isocenter.storescp.tlsSecret" -}}
{{- if .Values.storescp.certificate.enabled -}}
{{ .Values.storescp.tlsSecret | default (printf "%s-tls" (include "isocenter.storescp.name" .)) }}
{{- else -}}
{{ required "storescp.tlsSecret is required: a kubernetes.io/tls Secret (or storescp.certificate.enabled)" .Values.storescp.tlsSecret }}
{{- end -}}
{{- end -}}

{{/*
Annotations of a Network Load Balancer, for both controllers of AWS: TCP passes through,
the client's address stays, health is the Store SCP's own word, and a pod that ends has
its whole grace to finish associations. Its 350 s of idle time can't be set everywhere:
the Store SCP's TCP keepalive is shorter.
*/}}
{{- define "isocenter.storescp.loadBalancer" -}}
service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
service.beta.kubernetes.io/aws-load-balancer-scheme: {{ .Values.storescp.service.loadBalancer.scheme }}
service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: HTTP
service.beta.kubernetes.io/aws-load-balancer-healthcheck-port: {{ .Values.storescp.config.health_port | default 8081 | quote }}
service.beta.kubernetes.io/aws-load-balancer-healthcheck-path: /readyz
service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval: "10"
service.beta.kubernetes.io/aws-load-balancer-attributes: load_balancing.cross_zone.enabled=true
{{- $grace := include "isocenter.storescp.grace" . }}
service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: preserve_client_ip.enabled=true,deregistration_delay.timeout_seconds={{ $grace }},target_health_state.unhealthy.connection_termination.enabled=false,target_health_state.unhealthy.draining_interval_seconds={{ $grace }}
{{- end -}}
