"""The kinds that the stub's API server knows."""

# Group and version, plural, kind, whether it belongs to a namespace.
KNOWN = [
    ("v1", "configmaps", "ConfigMap", True),
    ("v1", "secrets", "Secret", True),
    ("v1", "services", "Service", True),
    ("v1", "serviceaccounts", "ServiceAccount", True),
    ("v1", "pods", "Pod", True),
    ("v1", "persistentvolumeclaims", "PersistentVolumeClaim", True),
    ("v1", "namespaces", "Namespace", False),
    ("apps/v1", "deployments", "Deployment", True),
    ("apps/v1", "replicasets", "ReplicaSet", True),
    ("batch/v1", "jobs", "Job", True),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", True),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True),
    ("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", True),
    ("networking.k8s.io/v1", "ingresses", "Ingress", True),
    ("cert-manager.io/v1", "certificates", "Certificate", True),
    ("gateway.networking.k8s.io/v1", "httproutes", "HTTPRoute", True),
    ("monitoring.coreos.com/v1", "servicemonitors", "ServiceMonitor", True),
    ("monitoring.coreos.com/v1", "prometheusrules", "PrometheusRule", True),
]

# Those of operators, which a cluster may lack.
CUSTOM = {"cert-manager.io/v1", "gateway.networking.k8s.io/v1", "monitoring.coreos.com/v1"}


def served(without):
    """All but the groups in `without`."""
    return [kind for kind in KNOWN if kind[0] not in without]


def api_groups(kinds):
    names = sorted({group for group, *_ in kinds if "/" in group})
    versions = [{"groupVersion": name, "version": name.split("/")[1]} for name in names]
    groups = [{"name": v["groupVersion"].split("/")[0], "versions": [v], "preferredVersion": v} for v in versions]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def resources(kinds, group_version):
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    found = [
        {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": verbs}
        for group, plural, kind, namespaced in kinds
        if group == group_version
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": found}


def openapi_root(kinds):
    """Where the description of each group is, in the form of OpenAPI v3."""
    groups = {group for group, *_ in kinds}
    places = {f"apis/{group}" if "/" in group else f"api/{group}" for group in groups}
    return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in sorted(places)}}


def openapi(kinds, place):
    """That the server itself checks fields, for every kind of a group: clients then leave it to the server."""
    check = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    paths = {}
    for group, plural, kind, _ in kinds:
        if place.split("/", 1)[1] == group:
            gvk = {"group": group.split("/")[0] if "/" in group else "", "version": group.split("/")[-1], "kind": kind}
            operation = {"parameters": [check], "responses": {}, "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": gvk}
            paths[f"/{place}/{plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1"}, "paths": paths}
