{{/*
The alerts, as a list of rules. `NS` stands for the matcher of the release's namespace,
and a rule's anchor in docs/troubleshooting.md is its name in small letters.

`increase` sees no step in a series that begins with its first event: `or (… unless …
offset 1h)` adds the series that were not there an hour ago.
*/}}
{{- define "isocenter.alerts" -}}
{{- $spoolMin := int64 (get .Values.storescp.config "spool_min_free_bytes" | default 1073741824) }}
{{- $sweep := float64 (get .Values.intake.config "sweep_interval_s" | default 300) }}
- alert: IsocenterPodNotScraped
  expr: up{NS, job="{{ .Release.Namespace }}/{{ include "isocenter.name" . }}"} == 0
  for: 5m
  severity: critical
  summary: '{{ "{{ $labels.pod }}" }} does not answer on its health port'
  description: Prometheus could not read /metrics of this pod for 5 minutes; what the pod does is not known.
- alert: IsocenterPodNotReady
  # Of kube-state-metrics. Pods that ended, such as the pipeline's Job, are never ready again.
  expr: |-
    kube_pod_status_ready{NS, pod=~"{{ include "isocenter.name" . }}-.*", condition="true"} == 0
    and on (namespace, pod) kube_pod_status_phase{NS, phase=~"Pending|Running|Unknown"} == 1
  for: 10m
  severity: critical
  summary: '{{ "{{ $labels.pod }}" }} is not ready'
  description: The pod has not been ready for 10 minutes; its /readyz says why.
- alert: IsocenterSpoolFull
  expr: min without (worker) (isocenter_storescp_spool_free_bytes{NS}) < {{ $spoolMin }}
  for: 1m
  severity: critical
  summary: '{{ "{{ $labels.pod }}" }} refuses instances: its spool volume is full'
  description: Senders get status A700. {{ "{{ $value | humanize1024 }}" }}B are free, {{ $spoolMin }} (storescp.config.spool_min_free_bytes) must be.
- alert: IsocenterSpoolFilling
  expr: |-
    min without (worker) (predict_linear(isocenter_storescp_spool_free_bytes{NS}[1h], 4 * 3600)) < {{ $spoolMin }}
    and sum without (worker) (isocenter_storescp_tasks_waiting{NS}) > 0
  for: 15m
  severity: warning
  summary: 'The spool volume of {{ "{{ $labels.pod }}" }} will be full within 4 hours'
  description: More is received than S3 takes. At the pace of the last hour, instances will be refused within 4 hours.
- alert: IsocenterInstancesWaiting
  expr: |-
    sum without (worker) (min_over_time(isocenter_storescp_tasks_waiting{NS}[15m])) > 0
    unless on (namespace, pod) sum by (namespace, pod) (increase(isocenter_storescp_uploads_total{NS, outcome="put"}[15m])) > 0
  for: 5m
  severity: critical
  summary: '{{ "{{ $labels.pod }}" }} holds objects that S3 does not take'
  description: '{{ "{{ $value }}" }} instances or manifests wait, and not one was put to S3 in 15 minutes. They are safe on the volume, but go no further.'
- alert: IsocenterInstanceLost
  expr: |-
    increase(isocenter_storescp_instances_lost_total{NS}[1h]) > 0
    or (isocenter_storescp_instances_lost_total{NS} > 0 unless isocenter_storescp_instances_lost_total{NS} offset 1h)
  severity: critical
  summary: 'Acknowledged instances are gone from the volume of {{ "{{ $labels.pod }}" }}'
  description: The spool lost files that senders believe stored. The log names each by its SOP Instance UID; have them sent again and look at the volume.
- alert: IsocenterInstancesQuarantined
  expr: |-
    sum by (namespace, pod, reason) (increase(isocenter_storescp_quarantined_total{NS, outcome="kept"}[1h])) > 0
    or sum by (namespace, pod, reason) (isocenter_storescp_quarantined_total{NS, outcome="kept"} unless isocenter_storescp_quarantined_total{NS, outcome="kept"} offset 1h) > 0
  severity: warning
  summary: '{{ "{{ $labels.pod }}" }} put files into quarantine: {{ "{{ $labels.reason }}" }}'
  description: They can't be stored as they are. `isocenter-storescp quarantine list` shows each with its sender.
- alert: IsocenterInstancesRefused
  expr: |-
    sum by (namespace, pod, status) (increase(isocenter_storescp_stores_total{NS, status!="0000"}[1h])) > 0
    or sum by (namespace, pod, status) (isocenter_storescp_stores_total{NS, status!="0000"} unless isocenter_storescp_stores_total{NS} offset 1h) > 0
  severity: warning
  summary: '{{ "{{ $labels.pod }}" }} refused instances with status {{ "{{ $labels.status }}" }}'
  description: The sender keeps what was refused. The log names each instance with the reason.
- alert: IsocenterMessagesLeft
  expr: |-
    increase(isocenter_intake_messages_total{NS, outcome="left"}[1h]) > 0
    or (isocenter_intake_messages_total{NS, outcome="left"} > 0 unless isocenter_intake_messages_total{NS} offset 1h)
  severity: warning
  summary: Events were left for the dead-letter queue
  description: Intake could not read or use an event, so SQS will move it to the dead-letter queue. How many lie there only AWS knows; watch ApproximateNumberOfMessagesVisible of that queue in CloudWatch (infra/eks makes such an alarm).
- alert: IsocenterSweepOverdue
  expr: time() - max by (namespace) (isocenter_intake_last_sweep_timestamp_seconds{NS}) > {{ mulf 3 $sweep }}
  for: 5m
  severity: warning
  summary: Intake's sweep has not gone through for {{ "{{ $value | humanizeDuration }}" }}
  description: The sweep finds what no event has brought; it should go through every {{ $sweep }} seconds (intake.config.sweep_interval_s). Until it does, lost events stay lost.
- alert: IsocenterImportsFailed
  expr: |-
    increase(isocenter_operator_phase_changes_total{NS, kind="DICOMImportJob", phase="Failed"}[1h]) > 0
    or (isocenter_operator_phase_changes_total{NS, kind="DICOMImportJob", phase="Failed"} > 0 unless isocenter_operator_phase_changes_total{NS} offset 1h)
  severity: warning
  summary: Imports into HealthImaging failed
  description: kubectl get dicomimportjobs names them; the condition Completed of each has the reason.
- alert: IsocenterRunsFailed
  expr: |-
    increase(isocenter_operator_phase_changes_total{NS, kind="TrainingRun", phase="Failed"}[1h]) > 0
    or (isocenter_operator_phase_changes_total{NS, kind="TrainingRun", phase="Failed"} > 0 unless isocenter_operator_phase_changes_total{NS} offset 1h)
  severity: warning
  summary: Training runs failed
  description: kubectl get trainingruns names them; the conditions of each have the reason.
- alert: IsocenterLooksFailing
  expr: sum by (namespace, kind) (increase(isocenter_operator_looks_total{NS, outcome="error"}[10m])) > 0
  for: 15m
  severity: warning
  summary: The operator fails to look after {{ "{{ $labels.kind }}" }}s
  description: Looks end in an error again and again; the operator's log has it. Statuses are stale, and nothing new starts.
- alert: IsocenterDatasetsFailing
  expr: |-
    sum by (namespace, outcome) (increase(isocenter_fetcher_datasets_total{NS, outcome!="complete"}[1h])) > 0
    or sum by (namespace, outcome) (isocenter_fetcher_datasets_total{NS, outcome!="complete"} unless isocenter_fetcher_datasets_total{NS} offset 1h) > 0
  severity: warning
  summary: 'Datasets of the fetcher service ended as {{ "{{ $labels.outcome }}" }}'
  description: GET /v1/datasets/<job> names what is missing. Fetches inside SageMaker are not seen here; their runs fail.
- alert: IsocenterCircuitOpen
  expr: max by (namespace, pod, region, service) (isocenter_tlm_proxy_upstream_circuit{NS}) == 2
  for: 1m
  severity: critical
  summary: '{{ "{{ $labels.pod }}" }} has stopped calling {{ "{{ $labels.service }}" }} in {{ "{{ $labels.region }}" }}'
  description: HealthImaging failed so often that no call is made for a while; readers get status 503 for what is not cached.
- alert: IsocenterReadsFailing
  expr: |-
    sum by (namespace) (rate(isocenter_tlm_proxy_requests_total{NS, status=~"5.."}[10m]))
    / sum by (namespace) (rate(isocenter_tlm_proxy_requests_total{NS}[10m])) > 0.05
  for: 5m
  severity: warning
  summary: '{{ "{{ $value | humanizePercentage }}" }} of the answers to readers are errors'
  description: More than 5 % of the tile proxy's answers in 10 minutes had a status of 500 or more.
- alert: IsocenterReadsTurnedAway
  expr: sum by (namespace, region, service, reason) (increase(isocenter_tlm_proxy_upstream_turned_away_total{NS, reason!="circuit"}[10m])) > 0
  for: 10m
  severity: warning
  summary: 'Reads are turned away: {{ "{{ $labels.reason }}" }} of {{ "{{ $labels.service }}" }} in {{ "{{ $labels.region }}" }}'
  description: More is asked for than the allowed rate of calls lets through; readers get status 503 and Retry-After.
{{- end -}}
