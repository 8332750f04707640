"""Asks a URL as the kubelet does, who looks at no certificate; prints the status. For tests that look into a network namespace."""

import ssl
import sys
import urllib.error
import urllib.request


def main(url):
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            print(answer.status)
    except urllib.error.HTTPError as refused:
        print(refused.code)


if __name__ == "__main__":
    main(sys.argv[1])
