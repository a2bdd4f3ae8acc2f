"""Plugins for Dunlin as Python processes.

    import dunlin

    class Mine:
        name, version = "mine", "0.1.0"
        def on_acl(self, e):
            return dunlin.allow()

    dunlin.serve(Mine())

A plugin has a method on_<hook> for each hook that it wants, which gets a record
and returns None (Next: not mine) or a Verdict. It may have configure(config),
save_state() and restore_state(state). Handlers are called one after another.
docs/plugin-contract.md is the specification.
"""

import base64
import json
import os
import queue
import shutil
import struct
import sys
import tempfile
import threading
import traceback
from concurrent import futures

from . import layout
from .layout import *  # noqa: F401,F403 the numbers of the contract
from .record import records
from .verdict import Verdict, allow, deny, drop, encode, message, rewrite  # noqa: F401
from .wire import Frame, block, certificate, fields, number


def log(level, text):
    """Writes a line to the plugin's log, as go-plugin's host reads it."""
    sys.stderr.write(json.dumps({"@level": level, "@message": str(text)}) + "\n")
    sys.stderr.flush()


class _Stream:
    """The Run stream: the reader sorts frames, the worker runs the plugin."""

    def __init__(self):
        self.out, self.frames = queue.Queue(), queue.Queue()
        self.lock, self.seq, self.waiting = threading.Lock(), 0, {}

    def call(self, call, record=0, seq=0, arg=0, data=b""):
        """A host call; returns (result, data)."""
        reply = queue.Queue(1)
        with self.lock:
            self.seq += 1
            own = self.seq
            self.waiting[own] = reply
        self.out.put(Frame(own, layout.KIND_HOSTCALL, 0, struct.pack("<IIQq", call, record, seq, arg) + data))
        if call in (layout.CALL_LOG, layout.CALL_METRIC_ADD):
            self.waiting.pop(own)
            return 0, b""
        f = reply.get()
        return struct.unpack_from("<q", f.data)[0], f.data[8:]

    def read(self, requests):
        try:
            for raw in requests:
                f = Frame.decode(raw)
                if f.kind == layout.KIND_HOSTREPLY:
                    self.waiting.pop(f.seq).put(f)
                elif f.kind in (layout.KIND_CALL, layout.KIND_OBSERVE):
                    self.frames.put(f)
        except Exception:  # the broker has gone
            pass
        self.frames.put(None)

    def work(self, plugin):
        while True:
            f = self.frames.get()
            if f is None:
                break
            try:
                answers = _decide(plugin, f)
            except Exception:
                log("error", traceback.format_exc())
                os._exit(1)  # the broker starts it again
            if f.kind == layout.KIND_CALL:
                self.out.put(Frame(f.seq, layout.KIND_VERDICTS, f.n, encode(answers)))
            else:
                self.out.put(Frame(f.seq, layout.KIND_ACK, f.n))
            self.frames.task_done()
        self.out.put(None)


_stream = _Stream()


def publish(topic, payload=b"", **keys):
    """Publishes a message (capability "publish"): qos, retain, props, expiry."""
    result, _ = _stream.call(layout.CALL_PUBLISH, data=message(topic, payload, **keys))
    if result < 0:
        raise RuntimeError("publish: error %d" % result)


def _decide(plugin, f):
    answers = []
    for data in records(f.data, f.n):
        hook = layout.HOOKS.get(int.from_bytes(data[4:6], "little"))
        fn = getattr(plugin, "on_" + hook[0], None) if hook else None
        answers.append(fn(hook[2](data)) if fn else None)
    return answers + [None] * (f.n - len(answers))


def serve(plugin):
    """Serves the plugin until the broker ends it."""
    if os.environ.get(layout.HANDSHAKE_KEY) != layout.HANDSHAKE_VALUE:
        sys.exit("This is a plugin of the Dunlin broker, which runs it; by itself it does nothing.")
    try:
        import grpc
    except ImportError:
        sys.exit("this plugin needs grpcio: apt-get install python3-grpcio python3-cryptography")

    def hello(_):
        numbers = [n for n, hook in layout.HOOKS.items() if hasattr(plugin, "on_" + hook[0])]
        return (number(1, layout.ABI) + b"".join(number(3, n) for n in numbers)
                + block(4, plugin.name.encode()) + block(5, plugin.version.encode()))

    def configure(f):
        if hasattr(plugin, "configure"):
            plugin.configure(json.loads(f.get(1) or b"{}"))
        if f.get(3) and hasattr(plugin, "restore_state"):
            plugin.restore_state(f[3])
        return b""

    def drain(_):
        _stream.frames.join()
        return block(1, plugin.save_state() if hasattr(plugin, "save_state") else b"")

    def answer(fn):
        def handle(request, context):
            try:
                return fn(fields(request))
            except Exception as err:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(err))
        return grpc.unary_unary_rpc_method_handler(handle)

    def run(requests, _):
        threading.Thread(target=_stream.read, args=(requests,), daemon=True).start()
        threading.Thread(target=_stream.work, args=(plugin,), daemon=True).start()
        while True:
            f = _stream.out.get()
            if f is None:
                threading.Timer(0.2, os._exit, (0,)).start()
                return
            yield f.encode()

    folder = tempfile.mkdtemp(prefix="dunlin-", dir=os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or None)
    try:
        der, pem, key = certificate()
        server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("dunlin.plugin.v1.Plugin", {
            "Hello": answer(hello), "Configure": answer(configure), "Drain": answer(drain),
            "Health": answer(lambda _: number(1, 1)), "Run": grpc.stream_stream_rpc_method_handler(run),
        }),))
        socket = os.path.join(folder, "plugin.sock")
        client = os.environ.get("PLUGIN_CLIENT_CERT", "").encode()
        server.add_secure_port("unix:" + socket, grpc.ssl_server_credentials([(key, pem)], client, True))
        server.start()
        cert = base64.b64encode(der).decode().rstrip("=")
        print("1|%d|unix|%s|grpc|%s" % (layout.ABI, socket, cert), flush=True)
        server.wait_for_termination()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
