{{/*
A component's settings as environment variables: (dict "root" $ "prefix" "STORESCP_"
"platform" (list "bucket") "config" .Values.storescp.config). Keys are the Settings
class's field names; anything but text is written as JSON, as the class reads it.
*/}}
{{- define "isocenter.settings" -}}
{{- $shared := dict -}}
{{- range .platform }}{{ $_ := set $shared . (required (printf "platform.%s is required" .) (index $.root.Values.platform .)) }}{{ end -}}
{{- $settings := merge (deepCopy .config) $shared -}}
{{- range $key := keys $settings | sortAlpha }}
{{- $value := index $settings $key }}
- name: {{ $.prefix }}{{ upper $key }}
  value: {{ if kindIs "string" $value }}{{ $value | quote }}{{ else }}{{ toJson $value | quote }}{{ end }}
{{- end }}
{{- end -}}

{{/* AWS's own variables, the same for every component. */}}
{{- define "isocenter.aws.env" -}}
- name: AWS_REGION
  value: {{ required "aws.region is required" .Values.aws.region | quote }}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.aws.region | quote }}
{{- range $name, $value := .Values.aws.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "isocenter.aws.envFrom" -}}
{{- with .Values.aws.credentialsSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end -}}
