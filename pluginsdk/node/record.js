"use strict";
// A record of a frame, as a view of its bytes: valid until the handler returns.

const HEADER = 32;
const SLOT = 8;

class Record {
  constructor(bytes) {
    this.bytes = bytes; // Buffer of the whole record
  }
  get hook() { return this.bytes.readUInt16LE(4); }
  get conn() { return this.bytes.readBigUInt64LE(8); }
  get timeNs() { return this.bytes.readBigUInt64LE(16); }
  get flags() { return this.bytes.readUInt32LE(24); }
  get aux() { return this.bytes.readUInt32LE(28); }
  get qos() { return this.flags & 3; }
  get version() { return (this.flags >> 6) & 7; }
  get origin() { return (this.flags >> 16) & 15; }

  // The bytes of slot n; undefined when it is absent.
  lookup(n) {
    const slots = this.bytes.readUInt16LE(6);
    const head = HEADER + slots * SLOT;
    if (n >= slots || head > this.bytes.length) return undefined;
    const off = this.bytes.readUInt32LE(HEADER + n * SLOT);
    const size = this.bytes.readUInt32LE(HEADER + n * SLOT + 4);
    if (off < head || off + size > this.bytes.length) return undefined;
    return this.bytes.subarray(off, off + size);
  }
  // An absent text reads as empty.
  text(n) { const b = this.lookup(n); return b ? b.toString("utf8") : ""; }
  // undefined when absent.
  u32(n) { const b = this.lookup(n); return b && b.length === 4 ? b.readUInt32LE(0) : undefined; }
  u64(n) { const b = this.lookup(n); return b && b.length === 8 ? b.readBigUInt64LE(0) : undefined; }
}

// The records of a frame, until the first that is malformed.
function* records(frame, count) {
  for (let i = 0, at = 0; i < count && frame.length - at >= HEADER; i++) {
    const size = frame.readUInt32LE(at);
    if (size < HEADER || size > frame.length - at) return;
    yield frame.subarray(at, at + size);
    at += size;
  }
}

module.exports = { Record, records };
