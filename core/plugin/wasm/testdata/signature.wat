;; A module whose functions have the right names and the wrong types.
(module
  (import "dunlin_log" "write" (func (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "dunlin_abi_v1") (result i64) (i64.const 0))
  (func (export "dunlin_buf") (param i32) (result i64) (i64.const 0))
  (func (export "dunlin_init") (param i32) (result i64) (i64.const 0))
  (func (export "dunlin_on") (param i32) (result i64) (i64.const 0))
)
