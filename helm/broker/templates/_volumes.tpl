{{/* What the broker reads and writes. Files are lent to the pod's group and nobody else; nothing here can be written but the SQLite file and the spool. */}}

{{- define "broker.databaseVolumes" -}}
{{- $database := .Values.database.postgresql -}}
- name: database
  secret:
    secretName: {{ $database.existingSecret }}
    defaultMode: 0440
    items:
      - { key: {{ $database.urlKey | quote }}, path: url }
      {{- with $database.directUrlKey }}
      - { key: {{ . | quote }}, path: direct-url }
      {{- end }}
{{- if $database.ca.configMap }}
- name: database-ca
  configMap: { name: {{ $database.ca.configMap }}, items: [{ key: {{ $database.ca.key | quote }}, path: ca.crt }] }
{{- else if $database.ca.secret }}
- name: database-ca
  secret: { secretName: {{ $database.ca.secret }}, items: [{ key: {{ $database.ca.key | quote }}, path: ca.crt }] }
{{- end }}
{{- end -}}

{{- define "broker.databaseMounts" -}}
- { name: database, mountPath: /etc/broker/database, readOnly: true }
{{- if or .Values.database.postgresql.ca.configMap .Values.database.postgresql.ca.secret }}
- { name: database-ca, mountPath: /etc/broker/database-ca, readOnly: true }
{{- end }}
{{- end -}}

{{- define "broker.volumes" -}}
{{- $root := . -}}
{{- $name := include "broker.fullname" . -}}
- name: config
  configMap: { name: {{ $name }}-config }
- name: keys
  secret:
    secretName: {{ .Values.keyring.existingSecret }}
    defaultMode: 0440
    items: [{ key: {{ .Values.keyring.key | quote }}, path: keys.json }]
{{- if or .Values.policy.files .Values.policy.existingConfigMap }}
- name: policy
  configMap: { name: {{ .Values.policy.existingConfigMap | default (printf "%s-policy" $name) }} }
{{- end }}
{{- range $listener := list "grpc" "web" "ops" }}
{{- with include "broker.tlsSecret" (dict "root" $root "listener" $listener) }}
- name: tls-{{ $listener }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }]
{{- end }}
{{- end }}
{{- with .Values.listeners.grpc.tls.clientCaSecret }}
- name: tls-grpc-clients
  secret: { secretName: {{ . }}, defaultMode: 0440, items: [{ key: ca.crt, path: ca.crt }] }
{{- end }}
{{- range $key, $secret := .Values.secrets }}
- name: secret-{{ $key }}
  secret: { secretName: {{ $secret.secretName }}, defaultMode: 0440 }
{{- end }}
{{- range $key, $authority := .Values.authorities }}
- name: authority-{{ $key }}
  {{- if $authority.configMap }}
  configMap: { name: {{ $authority.configMap }} }
  {{- else }}
  secret: { secretName: {{ $authority.secret }}, defaultMode: 0440 }
  {{- end }}
{{- end }}
{{- if and .Values.clusterIssuer.enabled (or .Values.clusterIssuer.authenticate .Values.clusterIssuer.caConfigMap) }}
- name: cluster
  projected:
    defaultMode: 0440
    sources:
      {{- if .Values.clusterIssuer.authenticate }}
      - serviceAccountToken: { path: token, expirationSeconds: 3600 }
      {{- end }}
      {{- with .Values.clusterIssuer.caConfigMap }}
      - configMap: { name: {{ . }}, items: [{ key: ca.crt, path: ca.crt }] }
      {{- end }}
{{- end }}
{{- if include "broker.isPostgresql" . }}
{{ include "broker.databaseVolumes" . }}
- name: spool
  {{- if .Values.spool.existingClaim }}
  persistentVolumeClaim: { claimName: {{ .Values.spool.existingClaim }} }
  {{- else }}
  emptyDir: { sizeLimit: {{ .Values.spool.sizeLimit }} }
  {{- end }}
{{- else }}
- name: data
  persistentVolumeClaim: { claimName: {{ .Values.database.sqlite.persistence.existingClaim | default (printf "%s-data" $name) }} }
- name: tmp
  emptyDir: {}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "broker.mounts" -}}
{{- $root := . -}}
- { name: config, mountPath: /etc/broker/config, readOnly: true }
- { name: keys, mountPath: /etc/broker/keys, readOnly: true }
{{- if or .Values.policy.files .Values.policy.existingConfigMap }}
- { name: policy, mountPath: /etc/broker/policy, readOnly: true }
{{- end }}
{{- range $listener := list "grpc" "web" "ops" }}
{{- if include "broker.tlsSecret" (dict "root" $root "listener" $listener) }}
- { name: tls-{{ $listener }}, mountPath: /etc/broker/tls/{{ $listener }}, readOnly: true }
{{- end }}
{{- end }}
{{- if .Values.listeners.grpc.tls.clientCaSecret }}
- { name: tls-grpc-clients, mountPath: /etc/broker/tls/grpc-clients, readOnly: true }
{{- end }}
{{- range $key, $_ := .Values.secrets }}
- { name: secret-{{ $key }}, mountPath: /etc/broker/secrets/{{ $key }}, readOnly: true }
{{- end }}
{{- range $key, $_ := .Values.authorities }}
- { name: authority-{{ $key }}, mountPath: /etc/broker/authorities/{{ $key }}, readOnly: true }
{{- end }}
{{- if and .Values.clusterIssuer.enabled (or .Values.clusterIssuer.authenticate .Values.clusterIssuer.caConfigMap) }}
- { name: cluster, mountPath: /etc/broker/cluster, readOnly: true }
{{- end }}
{{- if include "broker.isPostgresql" . }}
{{ include "broker.databaseMounts" . }}
- { name: spool, mountPath: /var/lib/broker }
{{- else }}
- { name: data, mountPath: /var/lib/broker }
- { name: tmp, mountPath: /tmp }
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
