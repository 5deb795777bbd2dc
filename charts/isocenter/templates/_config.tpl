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

{{/*
AWS's own variables: (dict "root" $ "app" "isocenter-storescp"). The application's
name is in the user agent of every call, so CloudTrail tells components apart.
*/}}
{{- define "isocenter.aws.env" -}}
{{- $aws := .root.Values.aws -}}
- name: AWS_REGION
  value: {{ required "aws.region is required" $aws.region | quote }}
- name: AWS_DEFAULT_REGION
  value: {{ $aws.region | quote }}
- name: AWS_SDK_UA_APP_ID
  value: {{ .app | quote }}
{{- range $name, $value := $aws.env }}
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
