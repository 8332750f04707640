{{/* What no schema can say: values that only together make no sense. */}}
{{- define "broker.checks" -}}
{{- $values := .Values -}}
{{- $_ := required "publicUrl: say where people's browsers reach the pages, such as https://broker.example.com" $values.publicUrl -}}
{{- $_ := required "keyring.existingSecret: name the Secret with keys.json, made by `broker init`" $values.keyring.existingSecret -}}
{{- if include "broker.isPostgresql" . -}}
{{- $_ := required "database.postgresql.existingSecret: name the Secret with the database's URL" $values.database.postgresql.existingSecret -}}
{{- else if $values.autoscaling.enabled -}}
{{- fail "autoscaling.enabled: SQLite is one process; use database.type postgresql for several replicas" -}}
{{- end -}}
{{- $ca := $values.database.postgresql.ca -}}
{{- if and $ca.configMap $ca.secret -}}
{{- fail "database.postgresql.ca: name a configMap or a secret, not both" -}}
{{- end -}}
{{- if and $values.policy.files $values.policy.existingConfigMap -}}
{{- fail "policy: give files or an existingConfigMap, not both" -}}
{{- end -}}
{{- if and $values.policy.existingConfigMap (not $values.policy.existingKeys) -}}
{{- fail "policy.existingKeys: name the keys of policy.existingConfigMap that hold Cedar" -}}
{{- end -}}
{{- range $name, $authority := $values.authorities -}}
{{- if eq (empty $authority.configMap) (empty $authority.secret) -}}
{{- fail (printf "authorities.%s: name a configMap or a secret" $name) -}}
{{- end -}}
{{- end -}}
{{- range ($values.config.providers | default list) -}}
{{- include "broker.secretReference" (dict "where" (printf "config.providers (%s).client.secret" .id) "text" .client.secret) -}}
{{- end -}}
{{- range ($values.config.issuers | default list) -}}
{{- with .login -}}
{{- if .client_secret -}}
{{- include "broker.secretReference" (dict "where" "config.issuers[].login.client_secret" "text" .client_secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $text := ($values.config.telemetry | default dict).headers | default dict -}}
{{- include "broker.secretReference" (dict "where" (printf "config.telemetry.headers.%s" $name) "text" $text) -}}
{{- end -}}
{{- with ($values.config.redis | default dict).url -}}
{{- if contains "@" . -}}
{{- include "broker.secretReference" (dict "where" "config.redis.url" "text" .) -}}
{{- end -}}
{{- end -}}
{{- if $values.clusterIssuer.enabled -}}
{{- range ($values.config.issuers | default list) -}}
{{- if eq .name $values.clusterIssuer.name -}}
{{- fail (printf "config.issuers: %s is the name of clusterIssuer" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $limits := $values.config.limits | default dict -}}
{{- $longest := include "broker.seconds" ($limits.request_timeout | default "30s") | int -}}
{{- if lt (int $values.shutdown.drainSeconds) $longest -}}
{{- fail (printf "shutdown.drainSeconds: requests may take %d s (config.limits.request_timeout) and would be cut off" $longest) -}}
{{- end -}}
{{- if $limits.drain_timeout -}}
{{- fail "config.limits.drain_timeout: set shutdown.drainSeconds, from which the pod's grace period follows too" -}}
{{- end -}}
{{- if and $values.certManager.enabled (not $values.certManager.issuerRef.name) -}}
{{- fail "certManager.issuerRef.name: name the issuer" -}}
{{- end -}}
{{- if and $values.helmTest.enabled $values.listeners.grpc.tls.clientCaSecret (not $values.helmTest.clientCertificateSecret) -}}
{{- fail "helmTest.clientCertificateSecret: gRPC asks for a client certificate; name one, or set helmTest.enabled to false" -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: name the Gateway" -}}
{{- end -}}
{{- end -}}

{{/* A secret written out would end up in a ConfigMap: (dict "where" … "text" …). */}}
{{- define "broker.secretReference" -}}
{{- if not (regexMatch "^\\$\\{(file|env):.+\\}$" .text) -}}
{{- fail (printf "%s: is a secret written out; put it into a Secret, name that in secrets, and write ${file:/etc/broker/secrets/NAME/KEY}" .where) -}}
{{- end -}}
{{- end -}}
