/** The exports of a guest: `export * from "./exports"` in the plugin's main file. */
import { guestBuf, guestDrain, guestHooks, guestInit, guestOn, guestRestore } from "./dunlin";

export function dunlin_abi_v1(): u64 { return 0; }
export function dunlin_hooks(): u64 { return guestHooks(); }
export function dunlin_buf(min: i32): i32 { return guestBuf(min); }
export function dunlin_init(n: i32): u64 { return guestInit(n); }
export function dunlin_on(count: i32, n: i32): u64 { return guestOn(count, n); }
export function dunlin_drain(): u64 { return guestDrain(); }
export function dunlin_restore(n: i32): u64 { return guestRestore(n); }
