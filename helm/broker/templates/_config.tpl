{{/* The broker's configuration file: the chart's own sections and those of `config`. */}}

{{- define "broker.listener" -}}
address: {{ printf "%s:%d" .root.Values.listeners.host (int (get .root.Values.listeners .listener).port) | quote }}
{{- if include "broker.tlsSecret" . }}
tls:
  certificate_file: /etc/broker/tls/{{ .listener }}/tls.crt
  key_file: /etc/broker/tls/{{ .listener }}/tls.key
  {{- if and (eq .listener "grpc") .root.Values.listeners.grpc.tls.clientCaSecret }}
  client_ca_file: /etc/broker/tls/grpc-clients/ca.crt
  {{- end }}
{{- else }}
terminated_by_mesh: true
{{- end }}
{{- end -}}

{{- define "broker.postgresql" -}}
{{- $postgresql := .Values.database.postgresql -}}
url: ${file:/etc/broker/database/url}
{{- if $postgresql.directUrlKey }}
direct_url: ${file:/etc/broker/database/direct-url}
{{- end }}
{{- if or $postgresql.ca.configMap $postgresql.ca.secret }}
ca_file: /etc/broker/database-ca/ca.crt
{{- end }}
max_connections: {{ int $postgresql.maxConnections }}
{{- end -}}

{{- define "broker.clusterIssuer" -}}
{{- $cluster := .Values.clusterIssuer -}}
name: {{ $cluster.name }}
issuer: {{ $cluster.issuer | quote }}
jwks_uri: {{ $cluster.jwksUri | quote }}
{{- if $cluster.authenticate }}
keys_token_file: /etc/broker/cluster/token
{{- end }}
{{- if $cluster.caConfigMap }}
ca_file: /etc/broker/cluster/ca.crt
{{- end }}
allowed_networks: {{ toJson $cluster.allowedNetworks }}
algorithms: {{ toJson $cluster.algorithms }}
realm: {{ $cluster.name }}
tenant: {{ $cluster.tenant }}
{{- end -}}

{{- define "broker.policyFiles" -}}
{{- $names := .Values.policy.files | keys | sortAlpha -}}
{{- range (.Values.policy.existingKeys | default $names) }}
- /etc/broker/policy/{{ . }}
{{- end }}
{{- end -}}

{{- define "broker.config" -}}
# Written by the chart. `broker config check --config <this file>` says whether it is in order.
listeners:
  {{- range (list "grpc" "web" "ops") }}
  {{ . }}:
    {{- include "broker.listener" (dict "root" $ "listener" .) | nindent 4 }}
  {{- end }}
public_url: {{ .Values.publicUrl | quote }}
storage:
  {{- if include "broker.isPostgresql" . }}
  postgres:
    {{- include "broker.postgresql" . | nindent 4 }}
  {{- else }}
  sqlite: { path: /var/lib/broker/broker.db }
  {{- end }}
spool:
  {{- toYaml (merge (dict "directory" "/var/lib/broker/spool") (.Values.config.spool | default dict)) | nindent 2 }}
keys:
  file: /etc/broker/keys/keys.json
policy:
  files:
    {{- include "broker.policyFiles" . | trim | default "[]" | nindent 4 }}
{{- $config := .Values.config }}
{{- $issuers := $config.issuers | default list }}
{{- if .Values.clusterIssuer.enabled }}
{{- $issuers = append $issuers (include "broker.clusterIssuer" . | fromYaml) }}
{{- end }}
{{- with $issuers }}
issuers:
  {{- toYaml . | nindent 2 }}
{{- end }}
limits:
  drain_timeout: {{ int .Values.shutdown.drainSeconds }}s
  {{- with $config.limits }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
log:
  {{- toYaml (merge (dict) ($config.log | default dict) (dict "format" "json")) | nindent 2 }}
{{- range $section := list "tenants" "workloads" "providers" "operators" "grants" "consent" "refresh" "redis" "telemetry" }}
{{- with get $config $section }}
{{ $section }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
