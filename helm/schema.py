"""Makes helm/broker/values.schema.json: the keys and types of values.yaml, what is narrower here, and the broker's own schema for `config`."""

import json
from pathlib import Path

CHART = Path(__file__).parent / "broker"
BROKER = CHART.parent.parent / "broker" / "config.schema.json"

# Sections of the broker's configuration that are the operator's; the others the chart writes.
SECTIONS = ["tenants", "issuers", "workloads", "providers", "operators", "grants", "consent", "limits", "refresh", "spool", "redis", "log", "telemetry"]

NAME = {"type": "string", "maxLength": 253, "pattern": "^([a-z0-9]([-.a-z0-9]*[a-z0-9])?)?$"}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
OBJECT = {"type": "object"}
OBJECTS = {"type": "array", "items": OBJECT}
NAMES = {"type": "array", "items": {"type": "string", "minLength": 1}}
PORT = {"type": "integer", "minimum": 1024, "maximum": 65535}
PORTS = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 65535}}
COUNT = {"type": "integer", "minimum": 1}
HTTPS = {"type": "string", "pattern": "^(https://[^/?#]+.*)?$"}
DURATION = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?(s|m|h)([0-9]+(s|m))*$"}
# A mapping of the operator's names to objects with these keys; names become parts of volumes' names and of paths.
KEYED = "^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$"


def keyed(**keys):
    one = {"type": "object", "additionalProperties": False, "properties": {key: NAME for key in keys}}
    required = [key for key, needed in keys.items() if needed]
    if required:
        one["required"] = required
    return {"type": "object", "additionalProperties": False, "patternProperties": {KEYED: one}}


# By the last key, by a path, or by the end of one: the longest that fits wins.
RULES = {
    "labels": LABELS, "commonLabels": LABELS, "podLabels": LABELS, "nodeSelector": LABELS,
    "annotations": LABELS, "podAnnotations": LABELS, "deploymentAnnotations": LABELS,
    "resources": OBJECT, "affinity": OBJECT, "podSecurityContext": OBJECT, "securityContext": OBJECT,
    "nameOverride": {**NAME, "maxLength": 50}, "fullnameOverride": {**NAME, "maxLength": 50},
    "existingSecret": NAME, "existingConfigMap": NAME, "existingClaim": NAME, "ownerSecret": NAME, "clientCaSecret": NAME,
    "tlsSecret": NAME, "clientCertificateSecret": NAME,
    "listeners.host": {"type": "string", "pattern": "^([0-9.]+|\\[[0-9a-f:]+\\])$"},
    "caConfigMap": NAME, "ca.configMap": NAME, "ca.secret": NAME, "serviceAccount.name": NAME,
    "priorityClassName": NAME, "ingress.className": NAME,
    "port": PORT, "services.web.port": {**PORT, "minimum": 1},
    "databasePorts": PORTS, "httpsPorts": PORTS, "apiServerPorts": PORTS, "collectorPorts": PORTS, "redisPorts": PORTS,
    "replicaCount": COUNT, "minReplicas": COUNT, "maxReplicas": COUNT, "periodSeconds": COUNT, "failureThreshold": COUNT,
    "activeDeadlineSeconds": COUNT, "backoffLimit": {"type": "integer", "minimum": 0},
    "targetCPUUtilizationPercentage": {**COUNT, "maximum": 100},
    "maxConnections": {"type": "integer", "minimum": 2, "maximum": 1000},
    "maxUnavailable": {"type": ["integer", "string"]},
    "preStopSeconds": {"type": "integer", "minimum": 0, "maximum": 120},
    "drainSeconds": {"type": "integer", "minimum": 1, "maximum": 900},
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.repository": {"type": "string", "pattern": "^[^@\\s]*$"},
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "imagePullSecrets": {"type": "array", "items": {**OBJECT, "required": ["name"]}},
    "publicUrl": {"type": "string", "pattern": "^(https://[^/?#@]+/?)?$"},
    "database.type": {"enum": ["postgresql", "sqlite"]},
    "persistence.size": {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$"},
    "services.web.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "secrets": keyed(secretName=True), "authorities": keyed(configMap=False, secret=False),
    "policy.files": {"type": "object", "additionalProperties": False,
                     "patternProperties": {"^[A-Za-z0-9][-._A-Za-z0-9]*\\.cedar$": {"type": "string"}}},
    "existingKeys": NAMES, "allowedNetworks": NAMES, "extraDnsNames": NAMES,
    "clusterIssuer.name": {"type": "string", "pattern": "^[a-z0-9][-_.a-z0-9]{0,62}$"},
    "clusterIssuer.issuer": {**HTTPS, "minLength": 1}, "jwksUri": {**HTTPS, "minLength": 1},
    "algorithms": {"type": "array", "minItems": 1, "items": {"enum": ["ES256", "ES384", "RS256", "PS256", "EdDSA"]}},
    "issuerRef.kind": {"type": "string", "minLength": 1},
    "certManager.duration": DURATION, "renewBefore": DURATION, "interval": DURATION,
    "extraObjects": {"type": "array", "items": {"type": ["object", "string"]}},
}


def rule(path):
    """What is narrower about the value at this path, if anything."""
    for start in range(len(path)):
        found = RULES.get(".".join(path[start:]))
        if found is not None:
            return found
    return None


def without_directory(spool):
    """The spool's section as the operator writes it: the chart says where it is."""
    properties = {name: inner for name, inner in spool["properties"].items() if name != "directory"}
    return {**spool, "properties": properties, "required": [name for name in spool["required"] if name != "directory"]}


def shape(path, value, comments):
    """The schema of one value."""
    described = {"description": comments[path]} if path in comments else {}
    found = rule(path)
    if found is not None:
        return {**found, **described}
    if path == ("config",):
        sections = json.loads(BROKER.read_text())["properties"]
        properties = {name: sections[name] for name in SECTIONS}
        properties["spool"] = without_directory(json.loads(BROKER.read_text())["$defs"]["Spool"])
        return {"type": "object", "additionalProperties": False, "properties": properties, **described}
    if isinstance(value, dict):
        properties = {key: shape((*path, key), inner, comments) for key, inner in value.items()}
        return {"type": "object", "additionalProperties": False, "properties": properties, **described}
    if isinstance(value, list):
        return {**OBJECTS, **described}
    kind = {bool: "boolean", int: "integer", str: "string"}[type(value)]
    return {"type": kind, **described}


def used(defs, schema):
    """The definitions that a schema leads to, by name."""
    found, waiting = {}, [schema]
    while waiting:
        for name in set(json.dumps(waiting.pop()).split("#/$defs/")[1:]):
            name = name.split('"')[0]
            if name not in found:
                found[name] = defs[name]
                waiting.append(defs[name])
    return dict(sorted(found.items()))


def schema(values, comments):
    """The whole schema as text. Helm adds `global` to every chart's values."""
    root = shape((), values, comments)
    root["properties"]["global"] = {"type": "object", "description": "Values that Helm hands to every chart; not used."}
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of the token broker's chart", **root}
    document["$defs"] = used(json.loads(BROKER.read_text())["$defs"], root["properties"]["config"])
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
