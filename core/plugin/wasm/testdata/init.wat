;; A guest whose start section, _initialize and dunlin_init do what the last
;; digit of its configuration says: {"act":N}.
(module
  (import "dunlin_topicstore" "put" (func $put (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $started (mut i32) (i32.const 0))
  (global $loaded (mut i32) (i32.const 0))
  (data (i32.const 16) "no such user table")
  (data (i32.const 96) "\10\00\00\00\12\00\00\00")
  (func $start
    (drop (call $fd_write (i32.const 1) (i32.const 96) (i32.const 1) (i32.const 8)))
    (global.set $started (i32.const 1)))
  (start $start)
  (func (export "_initialize") (global.set $loaded (global.get $started)))
  (func (export "dunlin_abi_v1") (result i64) (i64.const 0))
  (func (export "dunlin_buf") (param $min i32) (result i32)
    (if (i32.gt_u (local.get 0) (i32.const 32768)) (then (return (i32.const 65528))))
    (i32.const 8192))
  (func (export "dunlin_init") (param $n i32) (result i64)
    (local $act i32)
    (local.set $act (i32.sub (i32.load8_u offset=8189 (local.get $n)) (i32.const 48)))
    (if (i32.eqz (global.get $loaded)) (then unreachable))
    (if (i32.eq (local.get $act) (i32.const 1)) (then (return (i64.const 0x0000001000000012)))) ;; error text
    (if (i32.eq (local.get $act) (i32.const 2)) (then unreachable))
    (if (i32.eq (local.get $act) (i32.const 3)) (then (loop (br 0))))
    (if (i32.eq (local.get $act) (i32.const 4)) (then (return (i64.const 0xfffffff0000000ff))))
    (if (i32.eq (local.get $act) (i32.const 5)) (then
      (if (i32.ne (call $put (i32.const 0) (i64.const 0)) (i32.const -2)) (then unreachable))))
    (if (i32.eq (local.get $act) (i32.const 6)) (then
      (drop (call $fd_write (i32.const 2) (i32.const 96) (i32.const 1) (i32.const 8))) unreachable))
    (i64.const 0))
  (func (export "dunlin_on") (param i32 i32) (result i64) (i64.const 0))
)
