#!/usr/bin/env python3
"""A web server that misbehaves on demand, for tests of downloading. Standard library only; 127.0.0.1 only.

usage: http_server.py DIRECTORY LOG

Prints its port on one line, then serves until standard input ends (so it dies with the test that started it). Writes the
path of every request to LOG, one a line. The first part of a path says how the file DIRECTORY/<rest> is served:

  /good/F       as it is
  /truncated/F  half of it, with the length of all of it
  /cut/F        half of it, with no length: only its content can tell
  /wrong/F      DIRECTORY/F.wrong in its place
  /missing/F    404
  /broken/F     500
  /stalled/F    the first bytes, then nothing until the client gives up
  /redirect/F   302 to /good/F
  /loop/F       302 to itself
  /escape/F     302 to file://DIRECTORY/F
  /huge/F       announces a terabyte
  /endless/F    sends zeros with no length until the client gives up
"""
import http.server
import pathlib
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with self.server.log_lock, open(self.server.log_path, "a") as log:
            log.write(self.path + "\n")
        how, _, name = self.path.lstrip("/").partition("/")
        serve = getattr(self, "serve_" + how, None)
        self.close_connection = True
        if serve is None:
            self.send_error(404)
        else:
            serve(name)

    def content(self, name):
        return (self.server.directory / pathlib.PurePosixPath(name).name).read_bytes()

    def start(self, length=None):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def wait_for_client_to_leave(self):
        self.wfile.flush()
        self.connection.recv(1)

    def redirect(self, location):
        self.send_response(302)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve_good(self, name):
        content = self.content(name)
        self.start(len(content))
        self.wfile.write(content)

    def serve_truncated(self, name):
        content = self.content(name)
        self.start(len(content))
        self.wfile.write(content[: len(content) // 2])

    def serve_cut(self, name):
        content = self.content(name)
        self.start()
        self.wfile.write(content[: len(content) // 2])

    def serve_wrong(self, name):
        self.serve_good(name + ".wrong")

    def serve_missing(self, name):
        self.send_error(404)

    def serve_broken(self, name):
        self.send_error(500)

    def serve_stalled(self, name):
        content = self.content(name)
        self.start(len(content))
        self.wfile.write(content[:10])
        self.wait_for_client_to_leave()

    def serve_redirect(self, name):
        self.redirect("/good/" + name)

    def serve_loop(self, name):
        self.redirect("/loop/" + name)

    def serve_escape(self, name):
        self.redirect(f"file://{self.server.directory}/{name}")

    def serve_huge(self, name):
        self.start(1 << 40)
        self.wait_for_client_to_leave()

    def serve_endless(self, name):
        self.start()
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass  # the client has left, as it should

    def log_message(self, *args):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.directory = pathlib.Path(sys.argv[1]).resolve()
    server.log_path = sys.argv[2]
    server.log_lock = threading.Lock()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
