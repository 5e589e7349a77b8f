#!/bin/sh
# An agent in shell: it uses the command that it is given as its tool, and tells its run about it.
# `runstone exec` gives it a descriptor for that, $RUNSTONE_FD; started alone it says nothing.
say() { if [ -n "${RUNSTONE_FD:-}" ]; then printf '%s\n' "$1" >&"$RUNSTONE_FD"; fi; }

say '{"runstone": "message", "role": "assistant", "text": "I use my tool"}'
say '{"runstone": "emit", "type": "tool.started", "payload": {"call_id": "c1", "tool": "command"}}'
"$@"
code=$?
ok=true
[ "$code" -eq 0 ] || ok=false
say '{"runstone": "emit", "type": "tool.completed", "payload": {"call_id": "c1", "ok": '"$ok"'}}'
say '{"runstone": "usage", "provider": "example", "model": "small", "input_tokens": 100, "cost_usd": 0.001}'
say '{"runstone": "checkpoint", "state": {"code": '"$code"'}, "label": "after the tool"}'
say '{"runstone": "complete", "summary": "the tool ended with '"$code"'", "result": {"code": '"$code"'}}'
echo "shell: the tool ended with $code"
exit "$code"
