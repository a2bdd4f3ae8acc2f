"use strict";
// From a handler's answer to the bytes of a verdict block.

const { Action, Ext, Hook, Permit, Size, Slot, Flag } = require("./layout");

const pad = (n) => -n & 7;
const u16 = (n) => { const b = Buffer.alloc(2); b.writeUInt16LE(n); return b; };
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32LE(n >>> 0); return b; };
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(n)); return b; };
const bytes = (v) => (typeof v === "string" ? Buffer.from(v, "utf8") : Buffer.from(v));

// A line of a permission list: { filter, publish, subscribe, allow, retain, qos, exact, any }.
// Left out: all but exact and any are granted.
function permission(p) {
  const o = { publish: true, subscribe: true, allow: true, retain: true, qos: 2, ...p };
  const bits = (o.publish && Permit.publish) | (o.subscribe && Permit.subscribe) | (o.allow && Permit.allow) |
    (o.retain && Permit.retain) | (o.qos * Permit.qos1) | (o.exact && Permit.exact) | (o.any && Permit.any);
  const filter = bytes(o.filter);
  return Buffer.concat([u16(filter.length), Buffer.from([bits, 0]), filter]);
}

function pair([key, value]) {
  return Buffer.concat([key, value].flatMap((s) => [u16(bytes(s).length), bytes(s)]));
}

// A publish record: { topic, payload, qos, retain, expiry, props }.
function message(m) {
  const slots = Slot.expiry + 1;
  const head = Buffer.alloc(Size.header + slots * Size.slot);
  const parts = [head];
  let at = head.length;
  const put = (slot, b) => {
    head.writeUInt32LE(at, Size.header + slot * Size.slot);
    head.writeUInt32LE(b.length, Size.header + slot * Size.slot + 4);
    parts.push(b);
    at += b.length;
  };
  const payload = bytes(m.payload ?? "");
  put(Slot.topic, bytes(m.topic));
  put(Slot.payload, payload);
  if (m.props) put(Slot.props, bytes(m.props));
  if (m.expiry !== undefined) put(Slot.expiry, u32(m.expiry));
  parts.push(Buffer.alloc(pad(at)));
  head.writeUInt32LE(at + pad(at), 0);
  head.writeUInt16LE(Hook.publish, 4);
  head.writeUInt16LE(slots, 6);
  head.writeUInt32LE((m.qos ?? 0) | (m.retain ? Flag.retain : 0), 24);
  head.writeUInt32LE(payload.length, 28);
  return Buffer.concat(parts);
}

const keep = (n) => u32(n ?? 0xffffffff);

// Extension bytes by the key of an answer.
const extensions = {
  text: [Ext.text, bytes], principal: [Ext.principal, bytes], tenant: [Ext.tenant, bytes],
  attributes: [Ext.attributes, (o) => Buffer.concat(Object.entries(o).map(pair))],
  permissions: [Ext.permissions, (list) => Buffer.concat(list.map(permission))],
  expiresAt: [Ext.expiresAt, u64], reply: [Ext.reply, bytes], state: [Ext.state, bytes],
  topic: [Ext.topic, bytes], payload: [Ext.payload, bytes], props: [Ext.props, bytes], expiry: [Ext.expiry, u32],
  publishes: [Ext.publishes, (list) => Buffer.concat(list.map(message))],
  throttleMs: [Ext.throttle, u32], codes: [Ext.codes, bytes], filters: [Ext.filters, bytes],
  limits: [Ext.limits, (l) => Buffer.concat([keep(l.receiveMax), keep(l.packetSize), keep(l.keepAlive), keep(l.sessionExpiry)])],
  clientId: [Ext.clientId, bytes], cacheFilter: [Ext.cacheFilter, bytes],
};

// The extensions of an answer, [number, bytes] in ascending order.
function extensionsOf(v) {
  const list = [];
  for (const [key, [number, encode]] of Object.entries(extensions)) {
    if (v[key] !== undefined) list.push([number, encode(v[key])]);
  }
  if (v.qos !== undefined || v.retain !== undefined) {
    const mask = (v.qos !== undefined ? Flag.qos : 0) | (v.retain !== undefined ? Flag.retain : 0);
    list.push([Ext.flags, Buffer.concat([u32(mask), u32((v.qos ?? 0) | (v.retain ? Flag.retain : 0))])]);
  }
  return list.sort((a, b) => a[0] - b[0]);
}

// The block of the answers (undefined: Next); empty when all are.
function encode(answers) {
  if (answers.every((v) => v === undefined)) return Buffer.alloc(0);
  const table = Buffer.alloc(answers.length * Size.verdict);
  const parts = [table];
  let at = table.length;
  answers.forEach((v, i) => {
    if (v === undefined) return;
    const e = i * Size.verdict;
    table[e] = v.action ?? Action.next;
    table[e + 1] = v.reason ?? 0;
    table.writeUInt16LE((v.superuser ? 4 : 0) | (v.cacheFilter !== undefined ? 1 : v.cacheConnection ? 2 : 0), e + 2);
    table.writeUInt32LE(v.cacheTtlMs ?? 0, e + 12);
    const list = extensionsOf(v);
    if (list.length === 0) return;
    const head = Buffer.alloc(Size.extHead + Size.exts * Size.slot);
    head.writeUInt32LE(Size.exts, 0);
    const own = [head];
    let size = head.length;
    for (const [number, b] of list) {
      head.writeUInt32LE(size, Size.extHead + number * Size.slot);
      head.writeUInt32LE(b.length, Size.extHead + number * Size.slot + 4);
      own.push(b, Buffer.alloc(pad(b.length)));
      size += b.length + pad(b.length);
    }
    table.writeUInt32LE(at, e + 4);
    table.writeUInt32LE(size, e + 8);
    parts.push(...own);
    at += size;
  });
  return Buffer.concat(parts);
}

module.exports = { encode, message };
