{{- define "devcloud.name" -}}
{{ .Release.Name }}
{{- end -}}

{{- define "devcloud.stepAccount" -}}
{{ .Release.Name }}-step
{{- end -}}

{{- define "devcloud.selector" -}}
app.kubernetes.io/name: devcloud
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "devcloud.labels" -}}
{{ include "devcloud.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Every key of `config` as DEVCLOUD_<KEY>; maps as JSON. */}}
{{- define "devcloud.env" -}}
{{- range $key, $value := .Values.config }}
- name: DEVCLOUD_{{ upper $key }}
  value: {{ if kindIs "map" $value }}{{ toJson $value | quote }}{{ else }}{{ toString $value | quote }}{{ end }}
{{- end }}
- { name: DEVCLOUD_HOST, value: "0.0.0.0" }
- { name: DEVCLOUD_ACCOUNT_ID, value: {{ .Values.account_id | quote }} }
- { name: DEVCLOUD_REGION, value: {{ .Values.region | quote }} }
- { name: DEVCLOUD_DATA_DIR, value: /var/lib/devcloud }
- { name: DEVCLOUD_SEED_FILE, value: /etc/devcloud/seed.yaml }
- { name: DEVCLOUD_NAMESPACE, value: {{ .Release.Namespace | quote }} }
- { name: DEVCLOUD_INSTANCE, value: {{ include "devcloud.name" . | quote }} }
- { name: DEVCLOUD_PUBLIC_URL, value: {{ printf "http://%s.%s.svc" (include "devcloud.name" .) .Release.Namespace | quote }} }
- { name: DEVCLOUD_IMAGE, value: {{ .Values.image | quote }} }
- { name: DEVCLOUD_IMAGE_PULL_POLICY, value: {{ .Values.imagePullPolicy | quote }} }
- { name: DEVCLOUD_STEP_SERVICE_ACCOUNT, value: {{ include "devcloud.stepAccount" . | quote }} }
{{- end -}}
