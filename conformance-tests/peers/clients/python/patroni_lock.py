"""Patroni's own store on Consul: two members, one leader lock that a session holds."""

import sys

from patroni.dcs import get_dcs

host, port = sys.argv[1].split(":")


def member(name):
    config = {"consul": {"host": host, "port": int(port), "scheme": "http", "register_service": False}}
    return get_dcs({**config, "scope": "batman", "name": name, "ttl": 30, "loop_wait": 10, "retry_timeout": 10})


first, second = member("a"), member("b")
assert first.initialize(create_new=True, sysid="1")
for dcs in (first, second):
    assert dcs.touch_member({"conn_url": f"postgres://{dcs._name}", "state": "running"})
assert first.attempt_to_acquire_leader()
assert not second.attempt_to_acquire_leader()
cluster = second.get_cluster()
assert cluster.leader.name == "a", cluster
assert sorted(member.name for member in cluster.members) == ["a", "b"]
assert first.update_leader(cluster, last_lsn=None)
assert first.delete_leader(cluster.leader)
assert second.get_cluster().is_unlocked()
