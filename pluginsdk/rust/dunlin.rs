//! Plugins for Dunlin in Rust, without crates.
//!
//! ```text
//! mod dunlin;
//! use dunlin::*;
//!
//! #[derive(Default)]
//! struct Mine;
//! impl Handlers for Mine {
//!     fn acl(&mut self, r: Acl<'_>) -> Verdict { Verdict::allow() }
//! }
//! plugin!(Mine: acl);
//! ```
//!
//! `rustc --edition 2021 --crate-type cdylib --target wasm32-unknown-unknown -O -C panic=abort plugin.rs`
//!
//! Records are views of the frame and live until the handler returns. Handlers of
//! one instance are called one after another. docs/plugin-contract.md is the
//! specification.
#![allow(unknown_lints, clippy::all, dead_code, static_mut_refs)]

#[path = "layout.rs"]
mod layout;
pub use layout::*;

/// One record of a frame.
#[derive(Clone, Copy)]
pub struct Record<'a>(&'a [u8]);

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

impl<'a> Record<'a> {
    pub fn hook(&self) -> u32 { u32_at(self.0, 4) & 0xFFFF }
    pub fn conn(&self) -> u64 { u32_at(self.0, 8) as u64 | (u32_at(self.0, 12) as u64) << 32 }
    pub fn time_ns(&self) -> u64 { u32_at(self.0, 16) as u64 | (u32_at(self.0, 20) as u64) << 32 }
    pub fn flags(&self) -> u32 { u32_at(self.0, 24) }
    pub fn aux(&self) -> u32 { u32_at(self.0, 28) }
    pub fn qos(&self) -> u8 { (self.flags() & FLAG_QOS) as u8 }
    pub fn version(&self) -> u8 { (self.flags() >> SIZE_VERSION_SHIFT & 7) as u8 }

    /// The bytes of a slot; None when it is absent.
    pub fn slot(&self, n: usize) -> Option<&'a [u8]> {
        let slots = (u32_at(self.0, 4) >> 16) as usize;
        let head = SIZE_HEADER as usize + slots * SIZE_SLOT as usize;
        if n >= slots || head > self.0.len() {
            return None;
        }
        let at = SIZE_HEADER as usize + n * SIZE_SLOT as usize;
        let (off, len) = (u32_at(self.0, at) as usize, u32_at(self.0, at + 4) as usize);
        if off < head {
            return None;
        }
        self.0.get(off..off.checked_add(len)?)
    }
    /// The text of a slot; "" when it is absent or not UTF-8.
    pub fn text(&self, n: usize) -> &'a str { self.slot(n).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("") }
    pub fn u32(&self, n: usize) -> Option<u32> { self.slot(n).filter(|b| b.len() == 4).map(|b| u32_at(b, 0)) }
    pub fn u64(&self, n: usize) -> Option<u64> {
        self.slot(n).filter(|b| b.len() == 8).map(|b| u32_at(b, 0) as u64 | (u32_at(b, 4) as u64) << 32)
    }
}

/// What a plugin decides about one record. The default is Next: not mine.
#[derive(Default)]
pub struct Verdict {
    action: u8,
    reason: u8,
    flags: u16,
    cache_ttl_ms: u32,
    ext: Vec<(u32, Vec<u8>)>,
}

impl Verdict {
    pub fn next() -> Self { Self::default() }
    pub fn of(action: u8) -> Self { Verdict { action, ..Self::default() } }
    pub fn allow() -> Self { Self::of(ACTION_ALLOW) }
    pub fn drop() -> Self { Self::of(ACTION_DROP) }
    pub fn rewrite() -> Self { Self::of(ACTION_REWRITE) }
    /// Reason 0 leaves it to the broker.
    pub fn deny(reason: u8) -> Self { Verdict { reason, ..Self::of(ACTION_DENY) } }
    pub fn text(self, text: &str) -> Self { self.put(EXT_TEXT, text.as_bytes()) }
    pub fn cache(mut self, milliseconds: u32) -> Self { self.cache_ttl_ms = milliseconds; self }
    pub fn flag(mut self, flags: u16) -> Self { self.flags |= flags; self }
    /// Gives an extension its bytes.
    pub fn put(mut self, ext: u32, bytes: &[u8]) -> Self {
        self.ext.retain(|e| e.0 != ext);
        self.ext.push((ext, bytes.to_vec()));
        self
    }
    /// Changes QoS and retain: the bits of mask become those of value.
    pub fn set_flags(self, mask: u32, value: u32) -> Self { self.put(EXT_FLAGS, &(mask as u64 | (value as u64) << 32).to_le_bytes()) }
    /// A line of the permission list; bits are PERMIT_*.
    pub fn permit(mut self, bits: u8, filter: &str) -> Self {
        let mut line = (filter.len() as u16).to_le_bytes().to_vec();
        line.extend_from_slice(&[bits, 0]);
        line.extend_from_slice(filter.as_bytes());
        match self.ext.iter_mut().find(|e| e.0 == EXT_PERMISSIONS) {
            Some(e) => e.1.extend_from_slice(&line),
            None => self.ext.push((EXT_PERMISSIONS, line)),
        }
        self
    }
    fn plain(&self) -> bool { self.action == ACTION_NEXT && self.ext.is_empty() && self.flags == 0 && self.cache_ttl_ms == 0 }
}

/// All that a client may do with a filter.
pub const PERMIT_EVERYTHING: u8 = PERMIT_PUBLISH | PERMIT_SUBSCRIBE | PERMIT_ALLOW | PERMIT_RETAIN | PERMIT_QOS2;

/// Compares secrets in constant time.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.iter().enumerate().fold((a.len() != b.len()) as u8, |d, (i, x)| d | x ^ b.get(i).unwrap_or(&0)) == 0
}

/// Writes a line to the plugin's log; level is LOG_*.
pub fn log(level: i32, text: &str) { unsafe { dunlin_log_write(level, text.as_ptr() as i32, text.len() as i32) } }

/// Publishes a message (capability "publish"); flags are QoS and FLAG_RETAIN.
pub fn publish(topic: &str, payload: &[u8], flags: u32) -> Result<(), i32> {
    let slots = SLOT_PAYLOAD as usize + 1;
    let head = SIZE_HEADER as usize + slots * SIZE_SLOT as usize;
    let mut b = vec![0u8; head];
    let mut set = |at: usize, v: u32| b[at..at + 4].copy_from_slice(&v.to_le_bytes());
    set(4, HOOK_PUBLISH | (slots as u32) << 16);
    set(24, flags);
    set(28, payload.len() as u32);
    let at = (SIZE_HEADER + SLOT_TOPIC * SIZE_SLOT) as usize;
    set(at, head as u32);
    set(at + 4, topic.len() as u32);
    set(at + 8, (head + topic.len()) as u32);
    set(at + 12, payload.len() as u32);
    b.extend_from_slice(topic.as_bytes());
    b.extend_from_slice(payload);
    b.resize((b.len() + 7) & !7, 0);
    let len = b.len() as u32;
    b[..4].copy_from_slice(&len.to_le_bytes());
    match unsafe { dunlin_pub_publish(b.as_ptr() as i32, b.len() as i32) } {
        n if n < 0 => Err(n),
        _ => Ok(()),
    }
}

/// The plugin's configuration: its members, texts decoded, other values as JSON.
pub type Config = Vec<(String, String)>;

/// What a plugin may do besides handling hooks.
pub trait Plugin: Handlers + Default {
    /// Takes the configuration; an error refuses the load.
    fn configure(&mut self, _: &Config) -> Result<(), String> { Ok(()) }
    fn save_state(&mut self) -> Vec<u8> { Vec::new() }
    fn restore_state(&mut self, _: &[u8]) -> Result<(), String> { Ok(()) }
}

mod json {
    //! The members of an object, one level deep.
    pub fn members(s: &str) -> Option<Vec<(String, &str)>> {
        let b = s.as_bytes();
        let mut out = Vec::new();
        let mut i = space(b, 0);
        if b.get(i) != Some(&b'{') { return None; }
        i = space(b, i + 1);
        while b.get(i) == Some(&b'"') {
            let end = skip(b, i);
            let key = text(&s[i..end])?;
            i = space(b, end);
            if b.get(i) != Some(&b':') { return None; }
            i = space(b, i + 1);
            let end = skip(b, i);
            out.push((key, s[i..end].trim()));
            i = space(b, end);
            if b.get(i) == Some(&b',') { i = space(b, i + 1); }
        }
        if b.get(i) == Some(&b'}') { Some(out) } else { None }
    }
    fn space(b: &[u8], mut i: usize) -> usize {
        while i < b.len() && b[i].is_ascii_whitespace() { i += 1; }
        i
    }
    /// The end of the value that begins at i.
    fn skip(b: &[u8], mut i: usize) -> usize {
        let (mut depth, mut quoted) = (0, false);
        while i < b.len() {
            match (quoted, b[i]) {
                (true, b'\\') => i += 1,
                (true, b'"') => { quoted = false; if depth == 0 { return i + 1; } }
                (true, _) => {}
                (_, b'"') => quoted = true,
                (_, b'{') | (_, b'[') => depth += 1,
                (_, b'}') | (_, b']') => { if depth == 0 { return i; } depth -= 1; if depth == 0 { return i + 1; } }
                (_, b',') if depth == 0 => return i,
                _ => {}
            }
            i += 1;
        }
        i
    }
    /// Decodes a text; anything else is returned as it is.
    pub fn text(s: &str) -> Option<String> {
        let inner = match s.strip_prefix('"').and_then(|s| s.strip_suffix('"')) { Some(i) => i, None => return Some(s.to_string()) };
        let mut units: Vec<u16> = Vec::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            let c = if c != '\\' { c } else {
                match chars.next()? {
                    'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\u{8}', 'f' => '\u{c}',
                    'u' => { units.push(u16::from_str_radix(&chars.by_ref().take(4).collect::<String>(), 16).ok()?); continue; }
                    c => c,
                }
            };
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
        String::from_utf16(&units).ok()
    }
}

#[doc(hidden)]
pub mod guest {
    //! What the exports that `plugin!` makes stand on.
    use super::*;
    static mut INPUT: Vec<u64> = Vec::new();
    static mut OUTPUT: Vec<u8> = Vec::new();

    fn input(n: u32) -> &'static [u8] { unsafe { std::slice::from_raw_parts(INPUT.as_ptr() as *const u8, n as usize) } }
    pub fn buf(min: u32) -> u32 {
        unsafe {
            let words = (min as usize + 7) / 8;
            if words > INPUT.len() { INPUT = vec![0; words * 2]; }
            INPUT.as_ptr() as u32
        }
    }
    pub fn result(b: Vec<u8>) -> u64 {
        unsafe {
            OUTPUT = b;
            if OUTPUT.is_empty() { 0 } else { (OUTPUT.as_ptr() as u32 as u64) << 32 | OUTPUT.len() as u64 }
        }
    }
    fn fault(r: Result<(), String>) -> u64 { result(r.err().map(|e| if e.is_empty() { "refused".into() } else { e }).unwrap_or_default().into_bytes()) }
    pub fn init<P: Plugin>(p: &mut P, n: u32) -> u64 {
        std::panic::set_hook(Box::new(|i| log(LOG_ERROR, &i.to_string())));
        let text = std::str::from_utf8(input(n)).unwrap_or("");
        let config = json::members(text).and_then(|ms| ms.into_iter().find(|m| m.0 == "config")).and_then(|m| json::members(m.1));
        let members = config.and_then(|ms| ms.into_iter().map(|(k, v)| json::text(v).map(|v| (k, v))).collect::<Option<Config>>());
        fault(match members { Some(c) => p.configure(&c), None => Err("the init message holds no configuration".into()) })
    }
    pub fn on<P>(p: &mut P, count: u32, n: u32, call: fn(&mut P, Record<'static>) -> Verdict) -> u64 {
        let mut out = unsafe { std::mem::take(&mut OUTPUT) };
        out.clear();
        let (mut frame, mut touched) = (input(n), false);
        out.resize((count * SIZE_VERDICT) as usize, 0);
        for i in 0..count as usize {
            if frame.len() < SIZE_HEADER as usize { break; }
            let len = u32_at(frame, 0) as usize;
            if len < SIZE_HEADER as usize || len > frame.len() { break; }
            let v = call(p, Record(&frame[..len]));
            frame = &frame[len..];
            if !v.plain() {
                touched = true;
                put(&mut out, i, &v);
            }
        }
        if !touched { out.clear(); }
        result(out)
    }
    fn put(out: &mut Vec<u8>, i: usize, v: &Verdict) {
        let at = i * SIZE_VERDICT as usize;
        out[at] = v.action;
        out[at + 1] = v.reason;
        out[at + 2..at + 4].copy_from_slice(&v.flags.to_le_bytes());
        out[at + 12..at + 16].copy_from_slice(&v.cache_ttl_ms.to_le_bytes());
        if v.ext.is_empty() { return; }
        let base = out.len();
        out.resize(base + (SIZE_EXT_HEAD + SIZE_EXTS * SIZE_SLOT) as usize, 0);
        out[base] = SIZE_EXTS as u8;
        for (x, b) in &v.ext {
            out.resize((out.len() + 7) & !7, 0);
            let e = base + (SIZE_EXT_HEAD + x * SIZE_SLOT) as usize;
            let off = (out.len() - base) as u32;
            out[e..e + 4].copy_from_slice(&off.to_le_bytes());
            out[e + 4..e + 8].copy_from_slice(&(b.len() as u32).to_le_bytes());
            out.extend_from_slice(b);
        }
        let len = (out.len() - base) as u32;
        out[at + 4..at + 8].copy_from_slice(&(base as u32).to_le_bytes());
        out[at + 8..at + 12].copy_from_slice(&len.to_le_bytes());
        out.resize((out.len() + 7) & !7, 0);
    }
    pub fn restore<P: Plugin>(p: &mut P, n: u32) -> u64 { fault(p.restore_state(input(n))) }
}

/// Makes a type the plugin of this module, with the hooks that it handles.
#[macro_export]
macro_rules! plugin {
    ($t:ty : $($hook:ident),+ $(,)?) => {
        static mut PLUGIN: Option<$t> = None;
        fn the_plugin() -> &'static mut $t { unsafe { (*std::ptr::addr_of_mut!(PLUGIN)).get_or_insert_with(<$t>::default) } }
        fn call_plugin(p: &mut $t, r: $crate::dunlin::Record<'static>) -> $crate::dunlin::Verdict {
            $( if r.hook() == $crate::hook!(number $hook) { return $crate::hook!(call $hook p, r); } )+
            $crate::dunlin::Verdict::next()
        }
        #[no_mangle] pub extern "C" fn dunlin_abi_v1() -> u64 { 0 }
        #[no_mangle] pub extern "C" fn dunlin_hooks() -> u64 { 0 $( | 1 << $crate::hook!(number $hook) )+ }
        #[no_mangle] pub extern "C" fn dunlin_buf(min: u32) -> u32 { $crate::dunlin::guest::buf(min) }
        #[no_mangle] pub extern "C" fn dunlin_init(n: u32) -> u64 { $crate::dunlin::guest::init(the_plugin(), n) }
        #[no_mangle] pub extern "C" fn dunlin_on(count: u32, n: u32) -> u64 { $crate::dunlin::guest::on(the_plugin(), count, n, call_plugin) }
        #[no_mangle] pub extern "C" fn dunlin_drain() -> u64 { $crate::dunlin::guest::result($crate::dunlin::Plugin::save_state(the_plugin())) }
        #[no_mangle] pub extern "C" fn dunlin_restore(n: u32) -> u64 { $crate::dunlin::guest::restore(the_plugin(), n) }
    };
}
