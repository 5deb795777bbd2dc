{{/*
Annotations of an Application Load Balancer. With a class of its own, scheme and
certificate are the class's, the only place where EKS Auto Mode takes all of them.
*/}}
{{- define "isocenter.ingress.alb" -}}
{{- $alb := .Values.ingress.alb -}}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'
alb.ingress.kubernetes.io/ssl-redirect: "443"
alb.ingress.kubernetes.io/ssl-policy: {{ $alb.sslPolicy }}
{{- if not $alb.createClass }}
alb.ingress.kubernetes.io/scheme: {{ $alb.scheme }}
alb.ingress.kubernetes.io/certificate-arn: {{ $alb.certificateArn }}
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds={{ $alb.idleTimeout }},routing.http.drop_invalid_header_fields.enabled=true
{{- end }}
alb.ingress.kubernetes.io/healthcheck-path: /readyz
{{- with $alb.inboundCidrs }}
alb.ingress.kubernetes.io/inbound-cidrs: {{ join "," . }}
{{- end }}
{{- end -}}

{{/* Class and parameters are the cluster's: two namespaces must not share the name. */}}
{{- define "isocenter.ingress.class" -}}
{{ include "isocenter.name" . }}-{{ .Release.Namespace }}-alb
{{- end -}}
