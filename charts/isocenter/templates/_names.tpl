{{/* Every name of the chart. The release's name comes first, so two releases can share a namespace. */}}
{{- define "isocenter.name" -}}
{{- if eq .Release.Name "isocenter" -}}isocenter{{- else -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}-isocenter{{- end -}}
{{- end -}}

{{- define "isocenter.storescp.name" -}}{{ include "isocenter.name" . }}-storescp{{- end -}}
{{- define "isocenter.tlmProxy.name" -}}{{ include "isocenter.name" . }}-tlm-proxy{{- end -}}
{{- define "isocenter.viewer.name" -}}{{ include "isocenter.name" . }}-viewer{{- end -}}
{{- define "isocenter.fetcher.name" -}}{{ include "isocenter.name" . }}-fetcher{{- end -}}
{{- define "isocenter.operator.name" -}}{{ include "isocenter.name" . }}-operator{{- end -}}
{{- define "isocenter.intake.name" -}}{{ include "isocenter.name" . }}-intake{{- end -}}
{{- define "isocenter.pipeline.name" -}}{{ include "isocenter.name" . }}-pipeline{{- end -}}
