/**
 * Plugins for Dunlin in AssemblyScript. A plugin is a class with a method for
 * each hook that it wants:
 *
 *   import { Plugin, Acl, Verdict, HOOK_ACL, register } from "./dunlin";
 *   class Mine extends Plugin {
 *     acl(e: Acl, v: Verdict): void { v.allow(); }
 *   }
 *   register(new Mine(), [HOOK_ACL]);
 *   export * from "./exports";
 *
 *   asc plugin.ts -O3 --runtime incremental --exportStart _initialize --use abort=dunlin/abort -o plugin.wasm
 *
 * Views are of the frame and live until the method returns; they make no
 * garbage, their toString() does. docs/plugin-contract.md is the specification.
 */
import {
  ACTION_ALLOW, ACTION_DENY, ACTION_DROP, ACTION_REWRITE, EXT_FLAGS, EXT_PERMISSIONS, EXT_TEXT, FLAG_QOS, HOOK_PUBLISH,
  LOG_ERROR, MAX_SLOTS, PERMIT_ALLOW, PERMIT_PUBLISH, PERMIT_QOS2, PERMIT_RETAIN, PERMIT_SUBSCRIBE, Plugin,
  SIZE_EXTS, SIZE_EXT_HEAD, SIZE_HEADER, SIZE_SLOT, SIZE_VERDICT, SIZE_VERSION_SHIFT, SLOT_PAYLOAD, SLOT_TOPIC,
  dispatch, dunlin_log_write, dunlin_pub_publish,
} from "./layout";
export * from "./layout";

/** Bytes of the frame. */
export class View {
  ptr: usize = 0;
  length: i32 = 0;
  /** Absent differs from present and empty only for a password. */
  present: bool = false;

  equals(text: string): bool { return this.length == text.length && this.startsWith(text); }
  /** For ASCII texts. */
  startsWith(text: string, from: i32 = 0): bool {
    if (this.length - from < text.length) return false;
    for (let i = 0; i < text.length; i++) if (load<u8>(this.ptr + from + i) != <u8>text.charCodeAt(i)) return false;
    return true;
  }
  /** Whether the bytes of other lie at from. */
  has(other: View, from: i32): bool {
    if (this.length - from < other.length) return false;
    return memory.compare(this.ptr + from, other.ptr, other.length) == 0;
  }
  at(i: i32): u8 { return i < this.length ? load<u8>(this.ptr + i) : 0; }
  /** The bytes from i on, as text. */
  from(i: i32): string { return String.UTF8.decodeUnsafe(this.ptr + i, max(this.length - i, 0)); }
  toString(): string { return this.from(0); }
}

/** Compares a secret in constant time. */
export function same(view: View, secret: string): bool {
  const b = Uint8Array.wrap(String.UTF8.encode(secret));
  let differ: u8 = view.length != b.length ? 1 : 0;
  for (let i = 0; i < view.length && b.length > 0; i++) differ |= view.at(i) ^ b[i % b.length];
  return differ == 0;
}

const views = new StaticArray<View | null>(MAX_SLOTS);

/** A record of a frame. */
export class Record {
  at: usize = 0;
  get conn(): u64 { return load<u64>(this.at, 8); }
  get timeNs(): u64 { return load<u64>(this.at, 16); }
  get flags(): u32 { return load<u32>(this.at, 24); }
  get aux(): u32 { return load<u32>(this.at, 28); }
  get qos(): u32 { return this.flags & FLAG_QOS; }
  get version(): u32 { return this.flags >> SIZE_VERSION_SHIFT & 7; }

  /** The bytes of slot n; the view is made once and used again. */
  slot(n: i32): View {
    let v = views[n];
    if (v === null) { v = new View(); views[n] = v; }
    const len = load<u32>(this.at), slots = <u32>load<u16>(this.at, 6), head = SIZE_HEADER + slots * SIZE_SLOT;
    v.ptr = this.at; v.length = 0; v.present = false;
    if (<u32>n >= slots) return v;
    const e = this.at + SIZE_HEADER + n * SIZE_SLOT, off = load<u32>(e), size = load<u32>(e, 4);
    if (off < head || off > len || size > len - off) return v;
    v.ptr = this.at + off; v.length = size; v.present = true;
    return v;
  }
  slot_u32(n: i32, absent: u32): u32 { const v = this.slot(n); return v.length == 4 ? load<u32>(v.ptr) : absent; }
  slot_u64(n: i32, absent: u64): u64 { const v = this.slot(n); return v.length == 8 ? load<u64>(v.ptr) : absent; }
}

/** All that a client may do with a filter. */
export const PERMIT_EVERYTHING: u32 = PERMIT_PUBLISH | PERMIT_SUBSCRIBE | PERMIT_ALLOW | PERMIT_RETAIN | PERMIT_QOS2;

/** Bytes that grow. */
class Buffer {
  bytes: ArrayBuffer = new ArrayBuffer(1024);
  used: u32 = 0;
  get ptr(): usize { return changetype<usize>(this.bytes); }
  room(n: u32): u32 {
    if (this.used + n > <u32>this.bytes.byteLength) {
      const bytes = new ArrayBuffer((this.used + n) * 2);
      memory.copy(changetype<usize>(bytes), this.ptr, this.used);
      this.bytes = bytes;
    }
    const at = this.used;
    this.used += n;
    return at;
  }
  /** Room as an address, of the bytes as they are after they have moved to get it. */
  place(n: u32): usize { const at = this.room(n); return this.ptr + at; }
  zeros(n: u32): u32 { const at = this.room(n); memory.fill(this.ptr + at, 0, n); return at; }
  text(s: string): void { const n = String.UTF8.byteLength(s); const at = this.room(n); String.UTF8.encodeUnsafe(changetype<usize>(s), s.length, this.ptr + at); }
  copy(from: usize, n: u32): void { const at = this.room(n); memory.copy(this.ptr + at, from, n); }
  pad(): void { this.zeros(-this.used & 7); }
}

/** What the plugin decides about a record. Without a call it is Next: not mine. */
export class Verdict {
  out: Buffer = new Buffer();
  index: u32 = 0;
  base: u32 = 0;
  last: i32 = -1;
  touched: bool = false;

  private entry(): usize { this.touched = true; return this.out.ptr + this.index * SIZE_VERDICT; }
  decide(action: u32): void { store<u8>(this.entry(), action); }
  allow(): void { this.decide(ACTION_ALLOW); }
  drop(): void { this.decide(ACTION_DROP); }
  rewrite(): void { this.decide(ACTION_REWRITE); }
  /** Reason 0 leaves it to the broker. */
  deny(reason: u32 = 0, text: string = ""): void {
    this.decide(ACTION_DENY);
    store<u8>(this.entry(), reason, 1);
    if (text.length > 0) this.put(EXT_TEXT, text);
  }
  setFlags(flags: u32): void { store<u16>(this.entry(), flags, 2); }
  cache(milliseconds: u32): void { store<u32>(this.entry(), milliseconds, 12); }

  private open(ext: u32): void {
    if (this.base == 0) {
      this.out.pad();
      this.base = this.out.zeros(SIZE_EXT_HEAD + SIZE_EXTS * SIZE_SLOT);
      store<u32>(this.out.ptr + this.base, SIZE_EXTS);
      store<u32>(this.entry(), this.base, 4);
    }
    if (this.last == <i32>ext) return;
    this.out.pad();
    store<u32>(this.slot(ext), this.out.used - this.base);
    store<u32>(this.slot(ext), 0, 4);
    this.last = ext;
  }
  private slot(ext: u32): usize { return this.out.ptr + this.base + SIZE_EXT_HEAD + ext * SIZE_SLOT; }
  private close(ext: u32): void {
    store<u32>(this.slot(ext), this.out.used - this.base - load<u32>(this.slot(ext)), 4);
    store<u32>(this.entry(), this.out.used - this.base, 8);
  }
  /** Gives an extension a text; once more for the last one: appends. */
  put(ext: u32, text: string): void { this.open(ext); this.out.text(text); this.close(ext); }
  putView(ext: u32, v: View, from: i32 = 0): void { this.open(ext); this.out.copy(v.ptr + from, v.length - from); this.close(ext); }
  putU32(ext: u32, n: u32): void { this.open(ext); store<u32>(this.out.place(4), n); this.close(ext); }
  putU64(ext: u32, n: u64): void { this.open(ext); store<u64>(this.out.place(8), n); this.close(ext); }
  /** Changes QoS and retain: the bits of mask become those of value. */
  putFlags(mask: u32, value: u32): void { this.putU64(EXT_FLAGS, <u64>mask | <u64>value << 32); }
  /** A line of the permission list; bits are PERMIT_*. */
  permit(bits: u32, filter: string): void {
    this.open(EXT_PERMISSIONS);
    store<u32>(this.out.place(4), <u32>String.UTF8.byteLength(filter) | bits << 16);
    this.out.text(filter);
    this.close(EXT_PERMISSIONS);
  }
}

/** Writes a line to the plugin's log; level is LOG_*. */
export function log(level: i32, text: string): void {
  const b = String.UTF8.encode(text);
  dunlin_log_write(level, <i32>changetype<usize>(b), b.byteLength);
}

/** Publishes a message (capability "publish"); flags are QoS and FLAG_RETAIN. The result is 0 or below 0 an error. */
export function publish(topic: string, payload: string, flags: u32 = 0): i32 {
  const w = new Buffer(), slots = SLOT_PAYLOAD + 1, head = SIZE_HEADER + slots * SIZE_SLOT, n = String.UTF8.byteLength(topic);
  w.zeros(head);
  w.text(topic);
  w.text(payload);
  const size = w.used - head - n, e = w.ptr + SIZE_HEADER + SLOT_TOPIC * SIZE_SLOT;
  store<u32>(e, head); store<u32>(e, n, 4); store<u32>(e, head + n, 8); store<u32>(e, size, 12);
  w.pad();
  store<u32>(w.ptr, w.used); store<u32>(w.ptr, HOOK_PUBLISH | slots << 16, 4); store<u32>(w.ptr, flags, 24); store<u32>(w.ptr, size, 28);
  return dunlin_pub_publish(<i32>w.ptr, w.used);
}

/** The configuration: its members, texts decoded, other values as JSON. */
export const config = new Map<string, string>();

/** Takes the message of an AssemblyScript error to the log; the trap follows. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  log(LOG_ERROR, (message ? message : "abort") + " at " + (file ? file : "?") + ":" + line.toString() + ":" + column.toString());
  unreachable();
}

// What the exports stand on.
let plugin: Plugin = new Plugin();
let hookSet: u64 = 0;
let input: ArrayBuffer = new ArrayBuffer(0);
let output: ArrayBuffer = new ArrayBuffer(0);
const verdict = new Verdict();

/** Makes p the plugin of this module, with the hooks that it handles. */
export function register(p: Plugin, hooks: u32[]): void {
  plugin = p;
  hookSet = 0;
  for (let i = 0; i < hooks.length; i++) hookSet |= <u64>1 << hooks[i];
}

export function guestHooks(): u64 { return hookSet; }

export function guestBuf(min: i32): i32 {
  if (min > input.byteLength) input = new ArrayBuffer(min * 2);
  return <i32>changetype<usize>(input);
}

function result(text: string): u64 {
  output = String.UTF8.encode(text);
  return output.byteLength > 0 ? <u64>changetype<usize>(output) << 32 | <u64>output.byteLength : 0;
}

export function guestInit(n: i32): u64 {
  const message = members(String.UTF8.decodeUnsafe(changetype<usize>(input), n));
  if (!message.has("config")) return result("the init message holds no configuration");
  config.clear();
  const own = members(message.get("config"));
  const keys = own.keys();
  for (let i = 0; i < keys.length; i++) config.set(keys[i], decode(own.get(keys[i])));
  return result(plugin.configure());
}

export function guestOn(count: i32, n: i32): u64 {
  const v = verdict, out = v.out;
  out.used = 0;
  v.touched = false;
  out.zeros(<u32>count * SIZE_VERDICT);
  let at = changetype<usize>(input);
  const end = at + n;
  for (let i = 0; i < count; i++) {
    if (end - at < SIZE_HEADER) break;
    const len = load<u32>(at);
    if (len < SIZE_HEADER || len > <u32>(end - at)) break;
    v.index = i; v.base = 0; v.last = -1;
    const hook = <u32>load<u16>(at, 4);
    if (hook < 64 && hookSet >> hook & 1) dispatch(plugin, hook, at, v);
    at += len;
  }
  return v.touched ? <u64>out.ptr << 32 | <u64>out.used : 0;
}

export function guestDrain(): u64 { return result(plugin.saveState()); }
export function guestRestore(n: i32): u64 { return result(plugin.restoreState(String.UTF8.decodeUnsafe(changetype<usize>(input), n))); }

/** The members of a JSON object, one level deep, each value as it stands. */
function members(s: string): Map<string, string> {
  const out = new Map<string, string>();
  let i = space(s, 0);
  if (s.charCodeAt(i) != 0x7b) return out;
  i = space(s, i + 1);
  while (s.charCodeAt(i) == 0x22) {
    let end = skip(s, i);
    const key = decode(s.slice(i, end));
    i = space(s, space(s, end) + 1); // the colon
    end = skip(s, i);
    out.set(key, s.slice(i, end).trim());
    i = space(s, end);
    if (s.charCodeAt(i) == 0x2c) i = space(s, i + 1);
  }
  return out;
}

function space(s: string, i: i32): i32 {
  while (i < s.length && s.charCodeAt(i) <= 0x20) i++;
  return i;
}

/** The end of the value that begins at i. */
function skip(s: string, i: i32): i32 {
  let depth = 0, quoted = false;
  for (; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (quoted) {
      if (c == 0x5c) i++;
      else if (c == 0x22) { quoted = false; if (depth == 0) return i + 1; }
    } else if (c == 0x22) quoted = true;
    else if (c == 0x7b || c == 0x5b) depth++;
    else if (c == 0x7d || c == 0x5d) { if (depth == 0) return i; if (--depth == 0) return i + 1; }
    else if (c == 0x2c && depth == 0) return i;
  }
  return i;
}

/** Decodes a JSON text; anything else is returned as it is. */
export function decode(s: string): string {
  if (s.charCodeAt(0) != 0x22) return s;
  let out = "";
  for (let i = 1; i < s.length - 1; i++) {
    let c = s.charCodeAt(i);
    if (c == 0x5c) {
      c = s.charCodeAt(++i);
      switch (c) {
        case 0x6e: { c = 10; break; }
        case 0x74: { c = 9; break; }
        case 0x72: { c = 13; break; }
        case 0x62: { c = 8; break; }
        case 0x66: { c = 12; break; }
        case 0x75: { c = <i32>parseInt(s.slice(i + 1, i + 5), 16); i += 4; break; }
      }
    }
    out += String.fromCharCode(c);
  }
  return out;
}
