{{/*
Where a component's pods run: (dict "root" $ "component" "storescp"). What they spread
over is told apart by the component's own labels.
*/}}
{{- define "isocenter.pod.scheduling" -}}
{{- $values := index .root.Values .component -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $spread := $values.topologySpread | default dict }}
{{- with $spread.topologyKeys }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: {{ $spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "isocenter.selector" $.root | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* PodDisruptionBudget of a component: (dict "root" $ "component" "storescp" "name" …). */}}
{{- define "isocenter.podDisruptionBudget" -}}
{{- $values := index .root.Values .component -}}
{{- if and $values.enabled $values.podDisruptionBudget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "isocenter.labels" .root | nindent 4 }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  # A pod that fails must not keep its node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "isocenter.selector" .root | nindent 6 }}
{{- end -}}
{{- end -}}

{{/*
HorizontalPodAutoscaler of a component: (dict "root" $ "component" "storescp" "name" …
"kind" "StatefulSet").
*/}}
{{- define "isocenter.autoscaler" -}}
{{- $values := index .root.Values .component -}}
{{- $scaling := $values.autoscaling -}}
{{- if and $values.enabled $scaling.enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .name }}
  labels:
    {{- include "isocenter.labels" .root | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .kind }}
    name: {{ .name }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    {{- with $scaling.cpuUtilization }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ . }}
    {{- end }}
    {{- if $scaling.podsMetric.name }}
    - type: Pods
      pods:
        metric:
          name: {{ $scaling.podsMetric.name }}
        target:
          type: AverageValue
          averageValue: {{ $scaling.podsMetric.averageValue | quote }}
    {{- end }}
  behavior:
    scaleDown:
      selectPolicy: {{ ternary "Max" "Disabled" $scaling.scaleDown }}
{{- end -}}
{{- end -}}
