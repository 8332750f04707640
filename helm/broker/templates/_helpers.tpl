{{/* Names, labels and the small decisions that several templates share. */}}

{{- define "broker.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* 50 characters leave room for what is added to it. */}}
{{- define "broker.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "broker.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "broker.selectorLabels" -}}
app.kubernetes.io/name: {{ include "broker.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{/* Labels of an object: (dict "root" $ "component" "server"). */}}
{{- define "broker.labels" -}}
{{- $root := .root -}}
app.kubernetes.io/name: {{ include "broker.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: token-broker
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "broker.image" -}}
{{- $repository := required "image.repository: name the image; docs/operating.md says how to build it" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "broker.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "broker.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "broker.isPostgresql" -}}
{{- if eq .Values.database.type "postgresql" }}true{{ end -}}
{{- end -}}

{{/* Whether the replicas come and go by themselves. */}}
{{- define "broker.isScaled" -}}
{{- if and (include "broker.isPostgresql" .) .Values.autoscaling.enabled }}true{{ end -}}
{{- end -}}

{{/* Whether there are several replicas at once. */}}
{{- define "broker.isMany" -}}
{{- if include "broker.isScaled" . -}}
{{- if gt (int .Values.autoscaling.maxReplicas) 1 }}true{{ end -}}
{{- else if and (include "broker.isPostgresql" .) (gt (int .Values.replicaCount) 1) }}true{{ end -}}
{{- end -}}

{{- define "broker.publicHost" -}}
{{- (urlParse .Values.publicUrl).host | splitList ":" | first -}}
{{- end -}}

{{/* The TLS Secret of a listener; empty where a mesh accepts TLS: (dict "root" $ "listener" "grpc"). */}}
{{- define "broker.tlsSecret" -}}
{{- $values := .root.Values -}}
{{- $tls := (get $values.listeners .listener).tls -}}
{{- if $tls.terminatedByMesh -}}
{{- if $tls.existingSecret -}}
{{- fail (printf "listeners.%s.tls: existingSecret and terminatedByMesh contradict each other" .listener) -}}
{{- end -}}
{{- else if $tls.existingSecret -}}
{{- $tls.existingSecret -}}
{{- else if and (eq .listener "ops") $values.listeners.grpc.tls.existingSecret -}}
{{- $values.listeners.grpc.tls.existingSecret -}}
{{- else if $values.certManager.enabled -}}
{{- printf "%s-tls" (include "broker.fullname" .root) -}}
{{- else -}}
{{- fail (printf "listeners.%s.tls: name an existingSecret, enable certManager, or set terminatedByMesh" .listener) -}}
{{- end -}}
{{- end -}}

{{/* HTTP or HTTPS on the operations listener. */}}
{{- define "broker.opsScheme" -}}
{{- ternary "HTTPS" "HTTP" (ne (include "broker.tlsSecret" (dict "root" . "listener" "ops")) "") -}}
{{- end -}}

{{/* A duration of the broker's configuration in seconds. */}}
{{- define "broker.seconds" -}}
{{- $unit := trimAll "0123456789" . -}}
{{- if eq $unit "ms" -}}
{{- div (add (int64 (trimSuffix $unit .)) 999) 1000 -}}
{{- else -}}
{{- mul (int64 (trimSuffix $unit .)) (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) $unit | default 1) -}}
{{- end -}}
{{- end -}}
