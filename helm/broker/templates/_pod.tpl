{{/* The pods of the replicas. */}}

{{- define "broker.probe" -}}
httpGet: { path: {{ .path }}, port: ops, scheme: {{ include "broker.opsScheme" .root }} }
{{- range $key, $value := .values }}
{{ $key }}: {{ int $value }}
{{- end }}
timeoutSeconds: 3
{{- end -}}

{{- define "broker.container" -}}
name: broker
image: {{ include "broker.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve]
env:
  - { name: BROKER_CONFIG, value: /etc/broker/config/broker.yaml }
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- range $listener := list "grpc" "web" "ops" }}
  - { name: {{ $listener }}, containerPort: {{ int (get $.Values.listeners $listener).port }}, protocol: TCP }
  {{- end }}
# Health of the gRPC listener, which tells of shared faults too, is asked by `helm test`; taking replicas out for those would help nobody.
startupProbe:
  {{- include "broker.probe" (dict "root" . "path" "/livez" "values" .Values.probes.startup) | nindent 2 }}
livenessProbe:
  {{- include "broker.probe" (dict "root" . "path" "/livez" "values" .Values.probes.liveness) | nindent 2 }}
readinessProbe:
  {{- include "broker.probe" (dict "root" . "path" "/readyz" "values" .Values.probes.readiness) | nindent 2 }}
{{- if gt (int .Values.shutdown.preStopSeconds) 0 }}
lifecycle:
  preStop: { sleep: { seconds: {{ int .Values.shutdown.preStopSeconds }} } }
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  {{- include "broker.mounts" . | nindent 2 }}
{{- end -}}

{{/* Where the pods run, for replicas, job and test alike. */}}
{{- define "broker.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "broker.spread" -}}
{{- range .Values.topologySpreadConstraints }}
- {{ merge (dict) . (dict "labelSelector" (dict "matchLabels" (include "broker.selectorLabels" $ | fromYaml))) | toYaml | nindent 2 | trim }}
{{- end }}
{{- end -}}

{{- define "broker.podSpec" -}}
serviceAccountName: {{ include "broker.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
# The time to leave the services, the time for requests, and ten seconds to close the audit stream.
terminationGracePeriodSeconds: {{ add (int .Values.shutdown.preStopSeconds) (int .Values.shutdown.drainSeconds) 10 }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with include "broker.placement" . | trim }}
{{ . }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and (include "broker.isMany" .) .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- include "broker.spread" . | trim | nindent 2 }}
{{- end }}
{{- with .Values.extraInitContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - {{ include "broker.container" . | nindent 4 | trim }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes:
  {{- include "broker.volumes" . | nindent 2 }}
{{- end -}}
