"use strict";
// The few protobuf messages of plugin.proto, and a certificate for AutoMTLS.

const crypto = require("node:crypto");

function varint(n) {
  const out = [];
  for (let v = BigInt(n); ; v >>= 7n) {
    if (v < 128n) return Buffer.from([...out, Number(v)]);
    out.push(Number(v & 127n) | 128);
  }
}
const number = (field, n) => (n ? Buffer.concat([varint(field << 3), varint(n)]) : Buffer.alloc(0));
const block = (field, b) => (b && b.length ? Buffer.concat([varint((field << 3) | 2), varint(b.length), b]) : Buffer.alloc(0));

// The fields of a message by number: BigInt or Buffer; the last of a field counts.
function fields(b) {
  const out = {};
  let at = 0;
  const read = () => {
    let v = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const c = b[at++];
      if (c === undefined) throw new Error("truncated message");
      v |= BigInt(c & 127) << shift;
      if (c < 128) return v;
    }
  };
  while (at < b.length) {
    const tag = Number(read());
    switch (tag & 7) {
      case 0: out[tag >> 3] = read(); break;
      case 1: at += 8; break;
      case 2: { const n = Number(read()); out[tag >> 3] = b.subarray(at, at + n); at += n; break; }
      case 5: at += 4; break;
      default: throw new Error("malformed message");
    }
  }
  return out;
}

const frame = {
  encode: (f) => Buffer.concat([number(1, f.seq), number(2, f.kind), number(3, f.n), block(4, f.data)]),
  decode: (b) => {
    const f = fields(b);
    return { seq: f[1] ?? 0n, kind: Number(f[2] ?? 0n), n: Number(f[3] ?? 0n), data: f[4] ?? Buffer.alloc(0) };
  },
};

const der = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  const n = body.length;
  const size = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
};
const oid = (hex) => der(6, Buffer.from(hex, "hex"));
const time = (d) => der(0x18, Buffer.from(d.toISOString().replace(/[-:T]|\.\d+/g, "")));

// A certificate of this process alone, signed by itself, for "localhost".
function certificate() {
  const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const sha256 = der(0x30, oid("2a8648ce3d040302"));
  const name = der(0x30, der(0x31, der(0x30, oid("550403"), der(0x0c, Buffer.from("localhost")))));
  const hour = 3600e3, now = Date.now();
  const serial = Buffer.concat([Buffer.from([1]), crypto.randomBytes(15)]);
  const host = der(0x30, oid("551d11"), der(4, der(0x30, der(0x82, Buffer.from("localhost")))));
  const ca = der(0x30, oid("551d13"), der(1, Buffer.from([0xff])), der(4, der(0x30, der(1, Buffer.from([0xff])))));
  const body = der(0x30, der(0xa0, der(2, Buffer.from([2]))), der(2, serial), sha256, name,
    der(0x30, time(new Date(now - hour)), time(new Date(now + 24 * 365 * 30 * hour))), name,
    publicKey.export({ type: "spki", format: "der" }), der(0xa3, der(0x30, host, ca)));
  const signature = crypto.sign("sha256", body, privateKey);
  const cert = der(0x30, body, sha256, der(3, Buffer.from([0]), signature));
  const pem = `-----BEGIN CERTIFICATE-----\n${cert.toString("base64").replace(/(.{64})/g, "$1\n")}\n-----END CERTIFICATE-----\n`;
  return { der: cert, pem: Buffer.from(pem), key: Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" })) };
}

module.exports = { block, certificate, fields, frame, number };
