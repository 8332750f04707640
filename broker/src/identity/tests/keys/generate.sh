#!/bin/sh
# Makes the RSA keys (PKCS#1, DER) of the tests. They protect nothing and are used nowhere else.
set -eu
cd "$(dirname "$0")"
for bits in 1024 2048; do
    openssl genrsa -traditional "$bits" | openssl rsa -traditional -outform DER -out "rsa-$bits.test-only.der"
done
