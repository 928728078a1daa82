"""fetch.py JAR AUTHORITY URL [FORM]: gets the page, or sends the form, and prints what came at last."""

import os
import socket
import ssl
import sys
from http.cookiejar import MozillaCookieJar
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, HTTPSHandler, ProxyHandler, build_opener

system = socket.getaddrinfo


def resolve(host, *more, **named):
    """Names under .test are on this machine."""
    return system("127.0.0.1" if host.endswith(".test") else host, *more, **named)


socket.getaddrinfo = resolve
file, authority, url, *form = sys.argv[1:]
jar = MozillaCookieJar(file)
if os.path.exists(file):
    jar.load(ignore_discard=True)
opener = build_opener(
    HTTPCookieProcessor(jar),
    HTTPSHandler(context=ssl.create_default_context(cafile=authority)),
    ProxyHandler({}),
)
try:
    answer = opener.open(url, data=form[0].encode() if form else None)
except HTTPError as error:
    answer = error
sys.stdout.write(answer.read().decode())
jar.save(ignore_discard=True)
