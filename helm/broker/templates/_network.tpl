{{/* Ways out that replicas and the migration job share. */}}

{{- define "broker.dnsEgress" -}}
- ports: [{ protocol: UDP, port: 53 }, { protocol: TCP, port: 53 }]
  {{- with .Values.networkPolicy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "broker.databaseEgress" -}}
- ports: [{{ range $n, $port := .Values.networkPolicy.databasePorts }}{{ if $n }}, {{ end }}{ protocol: TCP, port: {{ int $port }} }{{ end }}]
  {{- with .Values.networkPolicy.databaseTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
