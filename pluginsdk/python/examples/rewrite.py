"""Moves old topics, drops empty messages, keeps secrets in."""

import dunlin


class Mover:
    name, version = "rewrite", "0.1.0"

    def on_publish(self, e):
        if e.topic.startswith("secret/"):
            return dunlin.deny(dunlin.REASON_NOT_AUTHORIZED, "secret")
        if e.aux == 0:
            return dunlin.drop()  # an empty message
        if e.topic.startswith("old/"):
            return dunlin.rewrite(topic="new/" + e.topic[4:], retain=False)
        return None


dunlin.serve(Mover())
