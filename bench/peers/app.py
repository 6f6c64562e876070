# The app of gunicorn (WSGI, PEP 3333): the routes of app.js.
import os
import time
from urllib.parse import parse_qs

HELLO = b"Hello, World!"
CHUNK = b"mpserve\n" * 8192


def app(environ, start_response):
    route = ROUTES.get(environ["PATH_INFO"])
    if route is None:
        return text(start_response, "404 Not Found", f"no route {environ['PATH_INFO']}\n")
    return route(start_response, environ["QUERY_STRING"])


def hello(start_response, _query):
    start_response("200 OK", [("content-type", "text/plain"), ("content-length", str(len(HELLO)))])
    return [HELLO]


def cpu(start_response, query):
    ms = number(query, "ms")
    # CPU time of the thread, because threads wait for the interpreter lock and must not count the wait.
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        pass
    return text(start_response, "200 OK", f"busy for {ms} ms\n")


def wait(start_response, query):
    ms = number(query, "ms")
    time.sleep(ms / 1000)
    return text(start_response, "200 OK", f"waited {ms} ms\n")


def content(start_response, query):
    n = number(query, "n")
    start_response("200 OK", [("content-type", "application/octet-stream"), ("content-length", str(n))])
    return (CHUNK[: n - begin] for begin in range(0, n, len(CHUNK)))


def crash(_start_response, _query):
    os._exit(1)


def text(start_response, status, body):
    body = body.encode()
    start_response(status, [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))])
    return [body]


def number(query, name):
    return int(parse_qs(query)[name][0])


ROUTES = {"/": hello, "/cpu": cpu, "/wait": wait, "/bytes": content, "/crash": crash}
