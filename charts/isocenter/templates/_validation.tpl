{{/*
Rules over several values, which the schema can't state. All that are broken are said
at once, each with the value to change.
*/}}
{{- define "isocenter.validation" -}}
{{- $problems := concat
  (include "isocenter.validation.platform" . | fromJsonArray)
  (include "isocenter.validation.storescp" . | fromJsonArray)
  (include "isocenter.validation.reading" . | fromJsonArray)
  (include "isocenter.validation.scaling" . | fromJsonArray)
  (include "isocenter.validation.environment" . | fromJsonArray) -}}
{{- if $problems -}}
{{- fail (printf "values do not fit together:\n- %s" (join "\n- " $problems)) -}}
{{- end -}}
{{- end -}}

{{- define "isocenter.validation.platform" -}}
{{- $problems := list -}}
{{- $parts := regexSplit "[./]+" .Values.platform.queue_url -1 -}}
{{- if and .Values.intake.enabled .Values.aws.region (regexMatch "^https://sqs\\.[a-z0-9-]+\\.amazonaws\\." .Values.platform.queue_url) -}}
{{- $region := index $parts 2 -}}
{{- if ne $region .Values.aws.region -}}
{{- $problems = append $problems (printf "platform.queue_url is in %s and aws.region is %s: all of an installation is in one region" $region .Values.aws.region) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.pipeline.enabled (hasKey .Values.operator.config "runs_prefix") (not (hasSuffix "/" .Values.operator.config.runs_prefix)) -}}
{{- $problems = append $problems "operator.config.runs_prefix must end with /" -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "isocenter.validation.storescp" -}}
{{- $problems := list -}}
{{- if .Values.storescp.enabled -}}
{{- $values := .Values.storescp -}}
{{- range $earlier, $today := include "isocenter.storescp.renamed" . | fromJson -}}
{{- if and (hasKey $values.config $earlier) (hasKey $values.config $today) }}{{ $problems = append $problems (printf "storescp.config.%s is called %s now: say one of them" $earlier $today) }}{{ end -}}
{{- end -}}
{{- $config := include "isocenter.storescp.config" . | fromJson -}}
{{- if and .Release.IsUpgrade (not (hasKey $config "allowed_peers")) -}}
{{- $problems = append $problems "storescp.config.allowed_peers is required: who may send, as a list of {aeTitle, cidrs, certificateSubject}, for nobody else may any more ([{aeTitle: \"*\"}] for anybody)" -}}
{{- end -}}
{{- $ports := list (get $config "tls_port" | default 11113 | int) (get $config "health_port" | default 8081 | int) -}}
{{- with get $config "scp_port" }}{{ $ports = append $ports (int .) }}{{ end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- $problems = append $problems "storescp.config: tls_port, scp_port and health_port must differ" -}}
{{- end -}}
{{- if and (get $config "scp_port") (eq (int $config.scp_port) (int $values.service.port)) -}}
{{- $problems = append $problems "storescp.config.scp_port is storescp.service.port, which is the port of DICOM over TLS: change one of them" -}}
{{- end -}}
{{- range get $config "allowed_peers" | default list -}}
{{- if and (kindIs "map" .) (get . "certificateSubject") (not (get $config "tls_ca_file")) }}{{ $problems = append $problems (printf "storescp.config.tls_ca_file is required: allowed_peers has a certificateSubject for %s" .aeTitle) }}{{ end -}}
{{- end -}}
{{- with get $config "tls_ca_file" -}}
{{- if not (hasPrefix "/etc/isocenter/tls/" .) -}}
{{- $problems = append $problems "storescp.config.tls_ca_file must be in /etc/isocenter/tls, where the Secret storescp.tlsSecret is mounted: add ca.crt to it and say /etc/isocenter/tls/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- if $values.certificate.enabled -}}
{{- if not $values.certificate.issuerRef.name }}{{ $problems = append $problems "storescp.certificate.issuerRef.name is required: an Issuer of cert-manager" }}{{ end -}}
{{- if not $values.certificate.dnsNames }}{{ $problems = append $problems "storescp.certificate.dnsNames is required: the names that modalities connect to" }}{{ end -}}
{{- end -}}
{{- if and (eq $values.service.type "LoadBalancer") (eq $values.service.loadBalancer.scheme "internet-facing") -}}
{{- if not $values.sourceRanges }}{{ $problems = append $problems "storescp.sourceRanges is required where storescp.service.loadBalancer.scheme is internet-facing" }}{{ end -}}
{{- if not (get $config "tls_ca_file") }}{{ $problems = append $problems "storescp.config.tls_ca_file is required where storescp.service.loadBalancer.scheme is internet-facing: peers must show a certificate" }}{{ end -}}
{{- if get $config "scp_port" }}{{ $problems = append $problems "storescp.config.scp_port is DICOM without TLS: not where storescp.service.loadBalancer.scheme is internet-facing" }}{{ end -}}
{{- end -}}
{{- $size := include "isocenter.bytes" $values.spool.size | float64 -}}
{{- $free := get $config "spool_min_free_bytes" | default 1073741824 | float64 -}}
{{- with get $config "spool_max_bytes" -}}
{{- if lt $size (addf $free (float64 .)) }}{{ $problems = append $problems (printf "storescp.spool.size %s is less than storescp.config.spool_max_bytes and spool_min_free_bytes together (%.0f)" $values.spool.size (addf $free (float64 .))) }}{{ end -}}
{{- end -}}
{{- if le $size $free -}}
{{- $problems = append $problems (printf "storescp.spool.size %s is not more than storescp.config.spool_min_free_bytes (%.0f): every instance would be refused" $values.spool.size $free) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "isocenter.validation.reading" -}}
{{- $problems := list -}}
{{- $proxy := .Values.tlmProxy -}}
{{- if $proxy.enabled -}}
{{- $mode := get $proxy.config "auth_mode" | default "cognito" -}}
{{- $needed := get (dict "cognito" (list "cognito_user_pool_id" "cognito_client_id") "oidc" (list "oidc_issuer") "none" list) $mode -}}
{{- range $needed -}}
{{- if not (get $proxy.config .) }}{{ $problems = append $problems (printf "tlmProxy.config.%s is required with tlmProxy.config.auth_mode %s" . $mode) }}{{ end -}}
{{- end -}}
{{- if and (eq $mode "none") .Values.ingress.enabled .Values.ingress.alb.enabled (eq .Values.ingress.alb.scheme "internet-facing") -}}
{{- $problems = append $problems "tlmProxy.config.auth_mode none lets everybody read: not where ingress.alb.scheme is internet-facing" -}}
{{- end -}}
{{- if eq (get $proxy.config "port" | default 8080 | int) (get $proxy.config "health_port" | default 8081 | int) -}}
{{- $problems = append $problems "tlmProxy.config: port and health_port must differ" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.fetcher.enabled (eq (get .Values.fetcher.config "http_port" | default 8080 | int) (get .Values.fetcher.config "health_port" | default 8081 | int)) -}}
{{- $problems = append $problems "fetcher.config: http_port and health_port must differ" -}}
{{- end -}}
{{- if .Values.ingress.enabled -}}
{{- if not (or $proxy.enabled .Values.viewer.enabled) }}{{ $problems = append $problems "ingress.enabled needs tlmProxy.enabled or viewer.enabled" }}{{ end -}}
{{- if .Values.ingress.alb.enabled -}}
{{- if .Values.ingress.tlsSecret }}{{ $problems = append $problems "ingress.tlsSecret is not read by an Application Load Balancer: use ingress.alb.certificateArn" }}{{ end -}}
{{- if not .Values.ingress.alb.certificateArn }}{{ $problems = append $problems "ingress.alb.certificateArn is required: a login needs HTTPS" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "isocenter.validation.scaling" -}}
{{- $problems := list -}}
{{- range $component := list "storescp" "tlmProxy" "viewer" -}}
{{- $values := index $.Values $component -}}
{{- $scaling := $values.autoscaling -}}
{{- if and $values.enabled $scaling.enabled -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}{{ $problems = append $problems (printf "%s.autoscaling: minReplicas is over maxReplicas" $component) }}{{ end -}}
{{- if not (or $scaling.cpuUtilization $scaling.podsMetric.name) }}{{ $problems = append $problems (printf "%s.autoscaling needs cpuUtilization or podsMetric.name" $component) }}{{ end -}}
{{- if and $scaling.cpuUtilization (not (dig "requests" "cpu" "" $values.resources)) }}{{ $problems = append $problems (printf "%s.autoscaling.cpuUtilization is a part of resources.requests.cpu, which is not set" $component) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{/* A variable that is set twice has the later value, without a word. */}}
{{- define "isocenter.validation.environment" -}}
{{- $problems := list -}}
{{- $own := list "AWS_REGION" "AWS_DEFAULT_REGION" "AWS_SDK_UA_APP_ID" -}}
{{- range keys .Values.aws.env | sortAlpha -}}
{{- if has . $own }}{{ $problems = append $problems (printf "aws.env.%s is set by the chart: for the region use aws.region" .) }}{{ end -}}
{{- end -}}
{{- $prefixes := dict "storescp" "STORESCP_" "tlmProxy" "TLM_PROXY_" "viewer" "VIEWER_" "fetcher" "FETCHER_" "operator" "OPERATOR_" "intake" "INTAKE_" "pipeline" "" -}}
{{- range $component := keys $prefixes | sortAlpha -}}
{{- $prefix := get $prefixes $component -}}
{{- range (index $.Values $component).extraEnv -}}
{{- if or (has .name $own) (hasKey $.Values.aws.env .name) (and $prefix (hasPrefix $prefix .name)) -}}
{{- $problems = append $problems (printf "%s.extraEnv: %s is set by the chart: use %s.config or aws" $component .name $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{/* Bytes of a Kubernetes quantity, such as 10Gi. */}}
{{- define "isocenter.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) (get $units (regexFind "[A-Za-z]*$" .) | float64) -}}
{{- end -}}
