"""Reads cases, a JSON list, from standard input and does a round trip with
Paho for each: connect, subscribe, publish, receive, unsubscribe, leave.
Prints {"name", "error"} a line for each case."""
import base64
import json
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def client_of(case, events):
    options = {
        "client_id": case["name"],
        "protocol": {3: mqtt.MQTTv31, 4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[case["version"]],
        "transport": "websockets" if case["transport"].startswith("ws") else "tcp",
    }
    client = mqtt.Client(**options)
    if case.get("username"):
        client.username_pw_set(case["username"], case["password"])
    if case.get("ca"):
        client.tls_set(ca_certs=case["ca"])
    client.on_connect = lambda c, u, flags, rc, props=None: events.put(("connect", rc))
    client.on_subscribe = lambda c, u, mid, granted, props=None: events.put(("subscribe", granted))
    client.on_unsubscribe = lambda c, u, mid, *rest: events.put(("unsubscribe", None))
    client.on_message = lambda c, u, message: events.put(("message", message))
    client.on_disconnect = lambda c, u, rc, props=None: events.put(("disconnect", rc))
    return client


def round_trip(case):
    events = queue.Queue()

    def wait(what):
        kind, value = events.get(timeout=case["timeout"])
        if kind != what:
            raise RuntimeError(f"{kind} {value} instead of {what}")
        return value

    topic, payload = "py/" + case["name"], base64.b64decode(case["payload"])
    client = client_of(case, events)
    client.connect(case["host"], case["port"])
    client.loop_start()
    try:
        if wait("connect") != 0:
            raise RuntimeError("refused")
        client.subscribe(topic, case["qos"])
        granted = wait("subscribe")[0]
        if getattr(granted, "value", granted) != case["qos"]:
            raise RuntimeError(f"granted {granted}")
        properties = None
        if case["version"] == 5:
            properties = Properties(PacketTypes.PUBLISH)
            properties.UserProperty = ("case", case["name"])
        client.publish(topic, payload, case["qos"], properties=properties)
        message = wait("message")
        if message.topic != topic or message.payload != payload:
            raise RuntimeError(f"got {message.topic}, {len(message.payload)} bytes")
        if message.qos != case["qos"]:
            raise RuntimeError(f"came at QoS {message.qos}")
        if properties and message.properties.UserProperty != [("case", case["name"])]:
            raise RuntimeError("user property is gone")
        client.unsubscribe(topic)
        wait("unsubscribe")
        client.disconnect()
        wait("disconnect")
    finally:
        client.loop_stop()


def main():
    for case in json.load(sys.stdin):
        error = ""
        try:
            round_trip(case)
        except Exception as e:  # whatever goes wrong is the case's result
            error = f"{type(e).__name__}: {e}"
        print(json.dumps({"name": case["name"], "error": error}), flush=True)


main()
