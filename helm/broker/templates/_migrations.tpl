{{/* The pod of the migration job: (dict "root" $ "name" …). */}}
{{- define "broker.migrationPod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
restartPolicy: Never
serviceAccountName: {{ .name }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with include "broker.placement" $root | trim }}
{{ . }}
{{- end }}
containers:
  - name: migrate
    image: {{ include "broker.image" $root }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args: [migrate]
    env:
      - { name: BROKER_CONFIG, value: /etc/broker/config/broker.yaml }
      {{- if $values.migrations.ownerSecret }}
      - { name: BROKER_OWNER_URL_FILE, value: /etc/broker/owner/url }
      {{- end }}
    resources:
      {{- toYaml $values.migrations.resources | nindent 6 }}
    securityContext:
      {{- toYaml $values.securityContext | nindent 6 }}
    volumeMounts:
      - { name: config, mountPath: /etc/broker/config, readOnly: true }
      {{- include "broker.databaseMounts" $root | nindent 6 }}
      {{- if $values.migrations.ownerSecret }}
      - { name: owner, mountPath: /etc/broker/owner, readOnly: true }
      {{- end }}
volumes:
  - name: config
    configMap: { name: {{ .name }} }
  {{- include "broker.databaseVolumes" $root | nindent 2 }}
  {{- if $values.migrations.ownerSecret }}
  - name: owner
    secret:
      secretName: {{ $values.migrations.ownerSecret }}
      defaultMode: 0440
      items: [{ key: {{ $values.migrations.ownerUrlKey | quote }}, path: url }]
  {{- end }}
{{- end -}}
