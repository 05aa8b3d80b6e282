#!/usr/bin/env python3
"""smc_http.py - a web server whose sockets are the kernel's SMC (IPPROTO_SMC). Says {"port": 5000}, then serves until it is killed."""

import http.server
import json
import socket

IPPROTO_SMC = 256


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"from a server on SMC\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def server_bind(self):
        self.socket.close()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SMC)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()


server = Server(("127.0.0.1", 0), Handler)
print(json.dumps({"port": server.server_address[1]}), flush=True)
server.serve_forever()
