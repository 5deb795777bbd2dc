{{/*
What an installation still needs before a study gets through, as a JSON list. Asks the
cluster only for what whoever installs may read anyway: Secrets, where Helm keeps
releases, and triggers, which the roles of the chart are about. A lookup that is
forbidden would fail the installation.
*/}}
{{- define "isocenter.missing" -}}
{{- $missing := list -}}
{{- $namespace := .Release.Namespace -}}
{{- if .Values.storescp.enabled -}}
{{- $secret := include "isocenter.storescp.tlsSecret" . -}}
{{- if not (lookup "v1" "Secret" $namespace $secret) -}}
{{- if .Values.storescp.certificate.enabled -}}
{{- $missing = append $missing (printf "Secret %s, which cert-manager makes: kubectl -n %s describe certificate %s" $secret $namespace (include "isocenter.storescp.name" .)) -}}
{{- else -}}
{{- $missing = append $missing (printf "Secret %s with the DICOM TLS key pair, without which the Store SCP does not start: kubectl -n %s create secret tls %s --cert=tls.crt --key=tls.key" $secret $namespace $secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $peers := list -}}
{{- range .Values.storescp.config.allowed_peers }}{{ if kindIs "string" . }}{{ $peers = append $peers . }}{{ else }}{{ $peers = append $peers .aeTitle }}{{ end }}{{ end -}}
{{- if and .Values.storescp.enabled (not $peers) -}}
{{- $missing = append $missing "storescp.config.allowed_peers: until it names them, no modality may send." -}}
{{- else if and .Values.storescp.enabled .Values.selfTest.enabled (not (has "SELFTEST" $peers)) (not (has "*" $peers)) -}}
{{- $missing = append $missing "SELFTEST among storescp.config.allowed_peers, as whom `helm test` sends." -}}
{{- end -}}
{{- if and .Values.aws.credentialsSecret (not (lookup "v1" "Secret" $namespace .Values.aws.credentialsSecret)) -}}
{{- $missing = append $missing (printf "Secret %s (aws.credentialsSecret) with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" .Values.aws.credentialsSecret) -}}
{{- end -}}
{{- if and .Values.operator.enabled (not .Values.crds.enabled) (not (.Capabilities.APIVersions.Has "isocenter.dev/v1alpha1")) -}}
{{- $missing = append $missing "The resource kinds, which crds.enabled=false leaves to the cluster's owner: helm template with crds.enabled=true, --show-only templates/crd/*.yaml, kubectl apply -f -" -}}
{{- end -}}
{{- $triggers := dict -}}
{{- if and .Values.intake.enabled (.Capabilities.APIVersions.Has "isocenter.dev/v1alpha1") -}}
{{- $triggers = lookup "isocenter.dev/v1alpha1" "TrainingTrigger" $namespace "" -}}
{{- end -}}
{{- if and .Values.intake.enabled (not (get $triggers "items")) -}}
{{- $missing = append $missing "A TrainingTrigger: until there is one, image sets start nothing (step 1)." -}}
{{- end -}}
{{- if not .Values.pipeline.enabled -}}
{{- $missing = append $missing (printf "The pipeline that triggers name, in SageMaker (pipeline.enabled is off): isocenter-pipeline upsert --help shows how to make %s." .Values.pipeline.name) -}}
{{- end -}}
{{- if .Values.viewer.enabled -}}
{{- if (include "isocenter.viewer.oidc" . | fromJson) -}}
{{- if not (and .Values.ingress.enabled (or .Values.ingress.tlsSecret .Values.ingress.alb.enabled)) -}}
{{- $missing = append $missing "HTTPS for the viewer: a login works on HTTPS or on the browser's own machine only (ingress.tlsSecret or ingress.alb)." -}}
{{- end -}}
{{- $missing = append $missing "Check that the login's client allows https://<the viewer's host>/callback." -}}
{{- else -}}
{{- $missing = append $missing "A login: tlmProxy.config.auth_mode none lets everybody who reaches it read every image." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.networkPolicy.loadBalancers) .Values.networkPolicy.enabled .Values.ingress.alb.enabled (or .Values.viewer.networkPolicy.from .Values.tlmProxy.networkPolicy.from) -}}
{{- $missing = append $missing "networkPolicy.loadBalancers: the load balancer's subnets, which the peers of networkPolicy.from leave out." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.storescp.enabled (eq .Values.storescp.service.type "LoadBalancer") (not .Values.networkPolicy.loadBalancers) -}}
{{- $missing = append $missing "networkPolicy.loadBalancers: the load balancer's subnets, or its health checks of the Store SCP are denied where policies are enforced." -}}
{{- end -}}
{{- $missing | toJson -}}
{{- end -}}
