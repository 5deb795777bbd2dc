{{/* The component label is the template's own folder. */}}
{{- define "isocenter.selector" -}}
app.kubernetes.io/name: isocenter
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ base (dir .Template.Name) }}
{{- end -}}

{{- define "isocenter.labels" -}}
{{ include "isocenter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
