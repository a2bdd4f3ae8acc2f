"use strict";
// Plugins for Dunlin as Node processes.
//
//   const { serve, Action } = require("./dunlin");
//   serve({ name: "mine", version: "0.1.0", acl(e) { return { action: Action.allow }; } });
//
// A handler gets a record and returns undefined (Next: not mine), an answer, or
// a promise of one; the records of a frame are handled in order. The keys of an
// answer are those of verdict.js. docs/plugin-contract.md is the specification.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const layout = require("./layout");
const { records } = require("./record");
const { encode, message } = require("./verdict");
const { block, certificate, fields, frame, number } = require("./wire");

const { Call, Handshake, Kind } = layout;
const raw = (b) => b;

// What a broker asks for, by the path of plugin.proto; the messages stay bytes.
const service = Object.fromEntries(["Hello", "Configure", "Run", "Health", "Drain"].map((name) => [name, {
  path: `/dunlin.plugin.v1.Plugin/${name}`, requestStream: name === "Run", responseStream: name === "Run",
  requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw,
}]));

// A log line as go-plugin's host reads it.
function log(level, text) {
  process.stderr.write(JSON.stringify({ "@level": level, "@message": String(text), "@timestamp": new Date().toISOString() }) + "\n");
}

class Host {
  constructor() {
    this.stream = undefined;
    this.seq = 0n;
    this.waiting = new Map();
  }
  // A host call; resolves to { result, data }.
  call(call, { record = 0, seq = 0n, arg = 0n, data = Buffer.alloc(0) } = {}) {
    const head = Buffer.alloc(24);
    head.writeUInt32LE(call, 0);
    head.writeUInt32LE(record, 4);
    head.writeBigUInt64LE(BigInt(seq), 8);
    head.writeBigInt64LE(BigInt(arg), 16);
    const id = ++this.seq;
    const reply = call === Call.log || call === Call.metricAdd ? Promise.resolve({ result: 0n, data })
      : new Promise((resolve) => this.waiting.set(id, resolve));
    this.stream.write(frame.encode({ seq: id, kind: Kind.hostcall, n: 0, data: Buffer.concat([head, data]) }));
    return reply;
  }
  resolve(f) {
    const done = this.waiting.get(f.seq);
    this.waiting.delete(f.seq);
    if (done) done({ result: f.data.readBigInt64LE(0), data: f.data.subarray(8) });
  }
}
const host = new Host();

// Publishes a message (capability "publish"): { topic, payload, qos, retain }.
// Resolves when the broker has taken it.
async function publish(m) {
  const { result } = await host.call(Call.publish, { data: message(m) });
  if (result < 0n) throw new Error(`publish: error ${result}`);
}

async function decide(plugin, f) {
  const answers = [];
  for (const bytes of records(f.data, f.n)) {
    const hook = layout.hooks.get(bytes.readUInt16LE(4));
    const answer = hook && plugin[hook.name] ? await plugin[hook.name](new hook.type(bytes)) : undefined;
    answers.push(answer ?? undefined);
  }
  while (answers.length < f.n) answers.push(undefined);
  return answers;
}

function run(plugin, stream) {
  host.stream = stream;
  let last = Promise.resolve(); // frames are handled in order
  stream.on("data", (bytes) => {
    const f = frame.decode(bytes);
    if (f.kind === Kind.hostreply) return host.resolve(f);
    if (f.kind !== Kind.call && f.kind !== Kind.observe) return;
    last = last.then(async () => {
      const answers = await decide(plugin, f);
      const call = f.kind === Kind.call;
      stream.write(frame.encode({ seq: f.seq, kind: call ? Kind.verdicts : Kind.ack, n: f.n, data: call ? encode(answers) : undefined }));
    }).catch((err) => { log("error", err.stack); process.exit(1); }); // the broker starts it again
    serve.last = last;
  });
  stream.on("error", () => process.exit(0));
  stream.on("cancelled", () => process.exit(0)); // the broker has gone
  stream.on("end", () => last.then(() => { stream.end(); setImmediate(() => process.exit(0)); }));
}

const answer = (fn) => (call, callback) => {
  Promise.resolve().then(() => fn(fields(call.request))).then((b) => callback(null, b ?? Buffer.alloc(0)),
    (err) => callback({ code: grpc.status.INVALID_ARGUMENT, details: String(err.message ?? err) }));
};

// Serves plugin: { name, version, configure(config), <hook>(record) ..., saveState(), restoreState(state) }.
function serve(plugin) {
  if (process.env[Handshake.key] !== Handshake.value) {
    process.stderr.write("This is a plugin of the Dunlin broker, which runs it; by itself it does nothing.\n");
    process.exit(1);
  }
  const numbers = [...layout.hooks.values()].filter((h) => plugin[h.name]).map((h) => h.number);
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  server.addService(service, {
    Hello: answer(() => Buffer.concat([number(1, Handshake.abi), ...numbers.map((n) => number(3, n)),
      block(4, Buffer.from(plugin.name)), block(5, Buffer.from(plugin.version))])),
    Configure: answer(async (f) => {
      await plugin.configure?.(JSON.parse(f[1]?.toString() || "{}"));
      if (f[3]?.length) await plugin.restoreState?.(f[3]);
    }),
    Health: answer(() => number(1, 1)),
    Drain: answer(async () => { await serve.last; return block(1, await plugin.saveState?.()); }),
    Run: (stream) => run(plugin, stream),
  });
  const dir = fs.mkdtempSync(path.join(process.env.PLUGIN_UNIX_SOCKET_DIR || os.tmpdir(), "dunlin-"));
  const socket = path.join(dir, "plugin.sock");
  process.on("exit", () => fs.rmSync(dir, { recursive: true, force: true }));
  const own = certificate();
  const client = Buffer.from(process.env.PLUGIN_CLIENT_CERT ?? "");
  const credentials = grpc.ServerCredentials.createSsl(client, [{ private_key: own.key, cert_chain: own.pem }], true);
  server.bindAsync(`unix:${socket}`, credentials, (err) => {
    if (err) { log("error", err.stack); process.exit(1); }
    process.stdout.write(`1|${Handshake.abi}|unix|${socket}|grpc|${own.der.toString("base64").replace(/=+$/, "")}\n`);
  });
}

module.exports = { serve, publish, log, host, ...layout };
