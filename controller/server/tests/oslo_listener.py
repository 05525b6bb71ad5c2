"""Listens to notifications as an OpenStack service would: prints each as a line of JSON, until it is killed.

    oslo_listener.py TRANSPORT_URL
"""

import json
import sys
import threading

from oslo_config import cfg
import oslo_messaging


# The listener's threads print side by side.
PRINTING = threading.Lock()


def say(message):
    with PRINTING:
        print(json.dumps(message), flush=True)


class Printer:
    def _print(self, priority, ctxt, publisher_id, event_type, payload, metadata):
        say({
            "priority": priority,
            "request_id": ctxt.get("request_id"),
            "publisher_id": publisher_id,
            "event_type": event_type,
            "payload": payload,
            "message_id": metadata["message_id"],
            "timestamp": metadata["timestamp"],
        })
        return oslo_messaging.NotificationResult.HANDLED

    def info(self, *message):
        return self._print("info", *message)

    def error(self, *message):
        return self._print("error", *message)


def main():
    conf = cfg.ConfigOpts()
    conf([])
    transport = oslo_messaging.get_notification_transport(conf, url=sys.argv[1])
    # As where the queues are quorum queues.
    conf.set_override("rabbit_quorum_queue", True, group="oslo_messaging_rabbit")
    targets = [oslo_messaging.Target(exchange="openstack", topic="notifications")]
    listener = oslo_messaging.get_notification_listener(transport, targets, [Printer()], executor="threading")
    listener.start()
    say({"ready": True})
    listener.wait()


main()
