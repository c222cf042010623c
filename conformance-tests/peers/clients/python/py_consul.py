"""py-consul: keys with an index, a service with a check, a transaction, a lock, an event."""

import base64
import sys
import threading

import consul

host, port = sys.argv[1].split(":")
client = consul.Consul(host=host, port=int(port))

assert client.kv.put("py/a", "1") is True
index, entry = client.kv.get("py/a")
assert entry["Value"] == b"1"
timer = threading.Timer(0.2, lambda: client.kv.put("py/a", "2"))
timer.start()
later, entry = client.kv.get("py/a", index=index, wait="10s")
assert int(later) > int(index) and entry["Value"] == b"2"
assert client.kv.put("py/a", "3", cas=int(index)) is False

client.agent.service.register("py-web", service_id="py-1", port=80, tags=["a"], check=consul.Check.ttl("10m"))
client.agent.check.ttl_pass("service:py-1")
_, found = client.health.service("py-web", passing=True)
assert [instance["Service"]["ID"] for instance in found] == ["py-1"]
_, services = client.catalog.services()
assert services["py-web"] == ["a"]

value = base64.b64encode(b"x").decode()
done = client.txn.put([{"KV": {"Verb": "set", "Key": "py/t", "Value": value}}, {"KV": {"Verb": "get", "Key": "py/t"}}])
assert done["Errors"] is None and done["Results"][1]["KV"]["Value"] == value

session = client.session.create("py", ttl=10)
assert client.kv.put("py/lock", "me", acquire=session)
assert not client.kv.put("py/lock", "you", acquire=client.session.create("other", ttl=10))
client.session.renew(session)
assert client.session.destroy(session)

client.event.fire("py-event", "payload")
_, events = client.event.list("py-event")
assert [event["Name"] for event in events] == ["py-event"]

client.agent.service.deregister("py-1")
_, found = client.health.service("py-web")
assert found == []
assert client.kv.delete("py/", recurse=True)
