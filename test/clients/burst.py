"""Sends intents as fast as it can, as an agent in Python would: with every setting of its client as it comes.

Only the partitioner is set, because librdkafka's own places keys where no decision would be found.
Prints what became of them as one JSON object.
"""

import collections
import json
import os
import sys
import time

from confluent_kafka import Producer, libversion

BYTES_OF_AN_INTENT = 633


def uuid7(milliseconds: int) -> str:
    digits = f"{milliseconds:012x}7{os.urandom(2).hex()[:3]}{8 + os.urandom(1)[0] % 4:x}{os.urandom(8).hex()[:15]}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def intent(agent: str) -> bytes:
    intent_id = uuid7(time.time_ns() // 1_000_000)
    action = {"type": "read_costs", "target": "reporting", "parameters": {"note": ""}}
    event = {
        "specversion": "1.0",
        "id": intent_id,
        "source": f"/agents/{agent}",
        "type": "io.remit.intent.v1",
        "subject": agent,
        "data": {"intentId": intent_id, "agentId": agent, "action": action},
    }
    action["parameters"]["note"] = "x" * (BYTES_OF_AN_INTENT - len(json.dumps(event)))
    return json.dumps(event).encode()


def main() -> None:
    brokers, topic, agent, count = sys.argv[1:]
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random"})
    outcomes = collections.Counter()

    def delivered(error, _message) -> None:
        outcomes["delivered" if error is None else error.name()] += 1

    began = time.monotonic()
    for _ in range(int(count)):
        headers = {"content-type": "application/cloudevents+json"}
        producer.produce(topic, intent(agent), agent, headers=headers, on_delivery=delivered)
        producer.poll(0)
    producer.flush()
    print(json.dumps({"client": libversion()[0], "seconds": time.monotonic() - began, "outcomes": outcomes}))


main()
