"""Just enough of Kubernetes' protobuf to read a Secret: Helm stores its releases in those and sends them in this form."""

import base64

MAGIC = b"k8s\x00"


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """Number and value of each field: bytes, or a number."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"wire type {kind}")
        yield number, value


def entries(data, number):
    """A map: its entries are messages of key and value."""
    pairs = (dict(fields(value)) for n, value in fields(data) if n == number)
    return {pair[1].decode(): pair.get(2, b"") for pair in pairs}


def secret(body):
    """The Secret in a request body, as the JSON that a server would store."""
    if not body.startswith(MAGIC):
        raise ValueError("no protobuf of Kubernetes")
    raw = dict(fields(body[len(MAGIC) :]))[2]
    secret = dict(fields(raw))
    meta = dict(fields(secret[1]))
    labels = {key: value.decode() for key, value in entries(secret[1], 11).items()}
    data = {key: base64.b64encode(value).decode() for key, value in entries(raw, 2).items()}
    metadata = {"name": meta[1].decode(), "namespace": meta.get(3, b"").decode(), "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data, "type": secret.get(3, b"").decode()}
