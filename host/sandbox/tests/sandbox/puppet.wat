;; A prompting guest that does what the request tells it: the profile's `context-tokens` says which act (`Act` in
;; `guests.rs`), `prompt-tokens` its size and `passages` how many times. It answers one message.
(component
  (import "riad:logging/logging@0.1.0" (instance $logging
    (type $level-type (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $level-type)))
    (export "log" (func (param "level" $level) (param "message" string)))))
  (import "riad:model/model@0.1.0" (instance $model
    (export "count-tokens" (func (param "text" string) (result u32)))))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $its-pollable))
    (export "pollable" (type $clock-pollable (eq $its-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $clock-pollable))))))
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))

  ;; Three pages: data and results, what the host writes, and the last for a counter.
  (core module $libc-module
    (memory (export "memory") 3)
    (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (local.get $at)))
  (core instance $libc (instantiate $libc-module))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))

  (core func $log (canon lower (func $logging "log") (memory $memory)))
  (core func $count-tokens (canon lower (func $model "count-tokens") (memory $memory)))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $get-environment
    (canon lower (func $environment "get-environment") (memory $memory) (realloc $realloc)))
  (core func $get-arguments (canon lower (func $environment "get-arguments") (memory $memory) (realloc $realloc)))
  (core func $end (canon lower (func $exit "exit")))
  (core func $get-random (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))

  (core module $main-module
    (import "libc" "memory" (memory 3))
    (import "host" "log" (func $log (param i32 i32 i32)))
    (import "host" "count-tokens" (func $count-tokens (param i32 i32) (result i32)))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "get-environment" (func $get-environment (param i32)))
    (import "host" "get-arguments" (func $get-arguments (param i32)))
    (import "host" "exit" (func $exit (param i32)))
    (import "host" "get-random" (func $get-random (param i64 i32)))
    (global $calls (mut i32) (i32.const 0))
    ;; The result: ok, one message at 2048, no passages.
    (data (i32.const 1024) "\00\00\00\00" "\00\08\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00")
    ;; The message: of the user; its text is filled in.
    (data (i32.const 2048) "\01\00\00\00" "\00\00\00\00" "\00\00\00\00")

    (func $count-up (param $at i32)
      (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1))))
    (func $digit (param $at i32) (param $number i32)
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (local.get $number))))
    (func $answer (param $at i32) (param $length i32)
      (i32.store (i32.const 2052) (local.get $at))
      (i32.store (i32.const 2056) (local.get $length)))

    (func (export "build-prompt")
      (param $messages i32) (param $messages-length i32) (param $id i32) (param $id-length i32)
      (param $act i32) (param $size i32) (param $times i32) (param $sentences i32) (param $max-tokens i32)
      (param $passages i32) (param $passages-length i32) (result i32)
      (local $turn i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (call $count-up (i32.const 256))
      (call $count-up (i32.const 192512))
      (call $digit (i32.const 4096) (global.get $calls))
      (call $digit (i32.const 4097) (i32.load8_u (i32.const 256)))
      (call $digit (i32.const 4098) (i32.load8_u (i32.const 192512)))
      (call $answer (i32.const 4096) (i32.const 3))

      (if (i32.eq (local.get $act) (i32.const 1)) (then
        (loop $again
          (if (i32.lt_u (local.get $turn) (local.get $times)) (then
            (call $log (i32.const 1) (i32.const 8192) (local.get $size))
            (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
            (br $again))))))
      (if (i32.eq (local.get $act) (i32.const 2)) (then
        (loop $again
          (if (i32.lt_u (local.get $turn) (local.get $times)) (then
            (drop (call $count-tokens (i32.const 8192) (local.get $size)))
            (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
            (br $again))))))
      (if (i32.eq (local.get $act) (i32.const 3)) (then
        (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (call $answer (i32.const 8192) (memory.size))))
      (if (i32.eq (local.get $act) (i32.const 4)) (then
        (call $block (call $subscribe (i64.mul (i64.extend_i32_u (local.get $size)) (i64.const 1000000))))))
      (if (i32.eq (local.get $act) (i32.const 5)) (then
        (i32.store8 (i32.const 4096) (i32.const 255))))
      (if (i32.eq (local.get $act) (i32.const 6)) (then
        (call $answer (i32.const 8192) (local.get $size))))
      (if (i32.eq (local.get $act) (i32.const 7)) (then
        (call $get-environment (i32.const 512))
        (call $get-arguments (i32.const 520))
        (call $answer (i32.const 8192) (i32.add (i32.load (i32.const 516)) (i32.load (i32.const 524))))))
      (if (i32.eq (local.get $act) (i32.const 8)) (then
        (call $exit (i32.const 1))))
      (if (i32.eq (local.get $act) (i32.const 9)) (then
        (call $get-random (i64.extend_i32_u (local.get $size)) (i32.const 512))))
      (if (i32.eq (local.get $act) (i32.const 10)) (then
        (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (local.set $turn (i32.const 3))
        (local.set $size (i32.const 0))
        (loop $page
          (if (i32.load (i32.shl (local.get $turn) (i32.const 16))) (then
            (local.set $size (i32.add (local.get $size) (i32.const 1)))))
          (i32.store (i32.shl (local.get $turn) (i32.const 16)) (i32.const 1))
          (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
          (br_if $page (i32.lt_u (local.get $turn) (memory.size))))
        (call $answer (i32.const 8192) (local.get $size))))
      (i32.const 1024)))
  (core instance $main (instantiate $main-module
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "log" (func $log))
      (export "count-tokens" (func $count-tokens))
      (export "subscribe" (func $subscribe))
      (export "block" (func $block))
      (export "get-environment" (func $get-environment))
      (export "get-arguments" (func $get-arguments))
      (export "exit" (func $end))
      (export "get-random" (func $get-random))))))

  ;; Types of an exported function must have names.
  (type $role-type (enum "system" "user" "assistant"))
  (export $role "role" (type $role-type))
  (type $message-type (record (field "role" $role) (field "content" string)))
  (export $message "message" (type $message-type))
  (type $profile-type (record (field "id" string) (field "context-tokens" u32) (field "prompt-tokens" u32)
    (field "passages" u32) (field "sentences" u32)))
  (export $profile "profile" (type $profile-type))
  (type $request-type (record (field "messages" (list $message)) (field "profile" $profile) (field "max-tokens" u32)))
  (export $request "request" (type $request-type))
  (type $passage-type (record (field "document" string) (field "chunk" u32) (field "title" string)
    (field "text" string) (field "score" f64) (field "metadata" string)))
  (export $passage "passage" (type $passage-type))
  (type $prompt-type (record (field "messages" (list $message)) (field "passages" (list $passage))))
  (export $prompt "prompt" (type $prompt-type))
  (type $stage-error-type (variant (case "invalid-request" string) (case "failed" string)))
  (export $stage-error "stage-error" (type $stage-error-type))

  (func $build-prompt (param "request" $request) (param "passages" (list $passage))
    (result (result $prompt (error $stage-error)))
    (canon lift (core func $main "build-prompt") (memory $memory) (realloc $realloc)))
  (instance $prompting (export "build-prompt" (func $build-prompt)))
  (export "riad:pipeline/prompting@0.1.0" (instance $prompting)))
