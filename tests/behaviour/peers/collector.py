"""A collector of OpenTelemetry built on the published definitions: each span it gets becomes a line of a file.

Usage: collector.py GRPC_PORT HTTP_PORT FILE; says "ready" on standard output. Each line is the span as JSON (the canonical
form of protocol buffers), with the attributes of span and resource as plain objects.
"""

import base64
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service_grpc

GRPC_PORT, HTTP_PORT, FILE = sys.argv[1:4]
writing = threading.Lock()


def plain(attributes):
    return {it["key"]: next(iter(it["value"].values())) for it in attributes}


def hexadecimal(text):
    return base64.b64decode(text).hex()


def take(request, way):
    # Nothing of the request may be unknown to the definitions.
    again = service.ExportTraceServiceRequest.FromString(request.SerializeToString())
    again.DiscardUnknownFields()
    assert again.ByteSize() == request.ByteSize(), "unknown fields"
    with writing, open(FILE, "a", encoding="utf-8") as out:
        for resource_spans in MessageToDict(request)["resourceSpans"]:
            for scope_spans in resource_spans["scopeSpans"]:
                for span in scope_spans["spans"]:
                    span["attributes"] = plain(span["attributes"])
                    span["resource"] = plain(resource_spans["resource"]["attributes"])
                    span["scope"] = scope_spans["scope"]["name"]
                    span["way"] = way
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if key in span:
                            span[key] = hexadecimal(span[key])
                    out.write(json.dumps(span) + "\n")


class Traces(service_grpc.TraceServiceServicer):
    def Export(self, request, context):
        metadata = dict(context.invocation_metadata())
        if metadata.get("x-key", "right") != "right":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong key")
        take(request, "grpc")
        return service.ExportTraceServiceResponse()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        fits = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
        if fits:
            take(service.ExportTraceServiceRequest.FromString(body), "http")
        answer = service.ExportTraceServiceResponse().SerializeToString()
        self.send_response(200 if fits else 400)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
service_grpc.add_TraceServiceServicer_to_server(Traces(), server)
server.add_insecure_port(f"127.0.0.1:{GRPC_PORT}")
server.start()
over_http = HTTPServer(("127.0.0.1", int(HTTP_PORT)), Handler)
print("ready", flush=True)
over_http.serve_forever()
