"""Logins from the configuration: [config] alice = "s3cret"."""

import hmac

import dunlin


class Logins:
    name, version = "auth", "0.1.0"
    users = {}

    def configure(self, config):
        self.users = config

    def on_authenticate(self, e):
        if e.username not in self.users:
            return None  # Next: not mine, ask the next plugin
        if not hmac.compare_digest(e.password or b"", self.users[e.username].encode()):
            return dunlin.deny(dunlin.REASON_BAD_USER_OR_PASSWORD, "wrong password")
        # The broker checks the permissions itself: no call for each message.
        return dunlin.allow(principal=e.username, permissions=["u/%s/#" % e.username])


dunlin.serve(Logins())
