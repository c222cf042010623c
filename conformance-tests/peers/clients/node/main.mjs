// The npm client "consul": keys, a service with a check, a watch, a lock.
import assert from "node:assert/strict";
import Consul from "consul";

const [host, port] = process.argv[2].split(":");
const consul = new Consul({ host, port: Number(port) });

await consul.kv.set("node/greeting", "hello");
assert.equal((await consul.kv.get("node/greeting")).Value, "hello");
assert.deepEqual(await consul.kv.keys("node/"), ["node/greeting"]);

const changed = new Promise((resolve, reject) => {
  const watch = consul.watch({ method: consul.kv.get, options: { key: "node/greeting" } });
  watch.on("change", (data) => {
    if (data?.Value === "again") {
      watch.end();
      resolve();
    }
  });
  watch.on("error", reject);
});
await consul.kv.set("node/greeting", "again");
await changed;

await consul.agent.service.register({ name: "node-web", port: 80, tags: ["a"], check: { ttl: "10m" } });
await consul.agent.check.pass("service:node-web");
const found = await consul.health.service({ service: "node-web", passing: true });
assert.equal(found.length, 1);
assert.deepEqual(found[0].Service.Tags, ["a"]);

const session = await consul.session.create({ name: "node", ttl: "10s" });
assert.equal(await consul.kv.set({ key: "node/lock", value: "x", acquire: session.ID }), true);
assert.equal((await consul.kv.get("node/lock")).Session, session.ID);
await consul.session.destroy(session.ID);

await consul.agent.service.deregister("node-web");
assert.deepEqual(await consul.health.service("node-web"), []);
await consul.kv.del({ key: "node/", recurse: true });
assert.equal(await consul.kv.get("node/greeting"), undefined);
